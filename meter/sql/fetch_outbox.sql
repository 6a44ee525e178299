-- The next records of these shards to send on, each shard's in the order of their offsets.
-- $1 shards int[], $2 most of each bigint
SELECT o.shard, o.topic, o.kafka_offset, o.partition, o.key, o.value, o.headers, o.timestamp_ms
FROM unnest($1::int[]) AS s (shard)
CROSS JOIN LATERAL (
    SELECT * FROM meter.outbox l WHERE l.shard = s.shard ORDER BY l.topic, l.kafka_offset LIMIT $2
) AS o;
