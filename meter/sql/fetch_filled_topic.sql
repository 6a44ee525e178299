-- The identity of the topic that projections filled; null before it was recorded.
SELECT min(topic_id) FROM projections.outbox_shards WHERE topic_id IS NOT NULL
