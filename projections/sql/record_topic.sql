-- Record the identity of the topic that the outbox goes to, where none is recorded.
-- $1 topic_id text
UPDATE projections.outbox_shards SET topic_id = $1 WHERE topic_id IS NULL
