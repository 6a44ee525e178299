-- Record the identity of a topic, where none is recorded.
-- $1 topic text, $2 topic_id text
UPDATE notifier.cursors SET topic_id = $2 WHERE topic = $1 AND topic_id IS NULL
