-- The recorded identity of the topic that the outbox goes to; no row before it was recorded.
SELECT min(topic_id) AS topic_id, (SELECT count(*) FROM projections.outbox_shards)::int AS partitions
FROM projections.outbox_shards
WHERE topic_id IS NOT NULL
HAVING count(*) > 0
