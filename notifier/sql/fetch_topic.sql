-- The recorded identity of a topic whose offsets are kept; no row before it was recorded.
-- $1 topic text
SELECT min(topic_id) AS topic_id, count(*)::int AS partitions
FROM notifier.cursors
WHERE topic = $1
HAVING count(topic_id) > 0
