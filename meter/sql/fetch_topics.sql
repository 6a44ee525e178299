-- The recorded identity of the input topics.
SELECT topic, topic_id, partitions FROM meter.topics
