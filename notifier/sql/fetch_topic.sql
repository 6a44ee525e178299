-- The recorded identity of a topic whose offsets are kept; no row before it was recorded.
-- $1 topic text
SELECT min(topic_id) AS topic_id, (SELECT count(*) FROM notifier.cursors WHERE topic = $1)::int AS partitions
FROM notifier.cursors
WHERE topic = $1 AND topic_id IS NOT NULL
HAVING count(*) > 0
