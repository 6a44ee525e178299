-- The next records of these shards to send on, each shard's in the order of their offsets. A waiting reversal is due once the
-- usage that was there is stored. Transactions may leave offsets at the end that nothing is stored for, so it is also due after
-- some minutes; it then waits again if there is still usage to read.
-- $1 shards int[], $2 most of each bigint
SELECT o.shard, o.topic, o.kafka_offset, o.partition, o.key, o.value, o.headers, o.timestamp_ms, o.usage_end
FROM unnest($1::int[]) AS s (shard)
CROSS JOIN LATERAL (
    SELECT * FROM meter.outbox l
    WHERE l.shard = s.shard
      AND (l.usage_end IS NULL OR l.held_at < now() - interval '5 minutes'
           OR l.usage_end <= (SELECT h.usage_offset FROM meter.shards h WHERE h.shard = s.shard))
    ORDER BY l.topic, l.kafka_offset LIMIT $2
) AS o;
