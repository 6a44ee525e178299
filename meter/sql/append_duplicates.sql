-- Record which Kafka records repeated a stored event.
-- $1 shard int, $2 recorded_at timestamptz, $3 topics text[], $4 kafka offsets bigint[], $5 event ids uuid[]
INSERT INTO meter.duplicates (shard, topic, kafka_offset, event_id, recorded_at)
SELECT $1, d.topic, d.kafka_offset, d.event_id, $2
FROM unnest($3::text[], $4::bigint[], $5::uuid[]) AS d (topic, kafka_offset, event_id)
