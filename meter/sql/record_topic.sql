-- Record the identity of a topic the first time it is seen.
-- $1 topic text, $2 topic_id text, $3 partitions int, $4 recorded_at timestamptz
INSERT INTO meter.topics (topic, topic_id, partitions, recorded_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (topic) DO NOTHING
