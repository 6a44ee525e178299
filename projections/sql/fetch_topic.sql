-- The recorded identity of the topic that the outbox goes to; no row before it was recorded.
SELECT min(topic_id) AS topic_id, count(*)::int AS partitions
FROM projections.outbox_shards
HAVING count(topic_id) > 0
