-- The next records of these shards to send on, each shard's in the order of their offsets; and the waiting reversals that are due.
-- $1 shards int[], $2 most of each bigint, $3 shards of those that are due int[], $4 their kafka offsets bigint[],
-- $5 what is read of their usage text[]
SELECT o.shard, o.topic, o.kafka_offset, o.partition, o.key, o.value, o.headers, o.timestamp_ms, o.usage_end, '' AS seen
FROM unnest($1::int[]) AS s (shard)
CROSS JOIN LATERAL (
    SELECT * FROM meter.outbox l
    WHERE l.shard = s.shard /*citus AND l.shard = $1[1] */ AND l.usage_end IS NULL
    ORDER BY l.topic, l.kafka_offset LIMIT $2
) AS o
UNION ALL
SELECT o.shard, o.topic, o.kafka_offset, o.partition, o.key, o.value, o.headers, o.timestamp_ms, o.usage_end, d.seen
FROM unnest($3::int[], $4::bigint[], $5::text[]) AS d (shard, kafka_offset, seen)
JOIN meter.outbox o ON o.shard = d.shard AND o.kafka_offset = d.kafka_offset AND o.usage_end IS NOT NULL /*citus AND o.shard = $1[1] */;
