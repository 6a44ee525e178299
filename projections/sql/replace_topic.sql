-- Take another topic for the one that the outbox goes to.
-- $1 topic_id text
UPDATE projections.outbox_shards SET topic_id = $1 WHERE topic_id IS DISTINCT FROM $1
