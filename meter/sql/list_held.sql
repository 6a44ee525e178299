-- Reversals that wait, of these shards: the first of each. Offsets that transactions leave at the end of a partition are stored with
-- the record behind them: where nobody can tell that nothing else is there, one that waits for its own partition alone is judged again
-- after some minutes, too.
-- $1 shards int[], $2 most of each bigint
SELECT h.shard, h.kafka_offset, h.usage_end, h.usage_ends, h.is_overdue
FROM unnest($1::int[]) AS s (shard)
CROSS JOIN LATERAL (
    SELECT o.shard, o.kafka_offset, o.usage_end, o.usage_ends, o.held_at < now() - interval '5 minutes' AS is_overdue
    FROM meter.outbox o
    WHERE o.shard = s.shard /*citus AND o.shard = $1[1] */ AND o.usage_end IS NOT NULL
    ORDER BY o.kafka_offset LIMIT $2
) AS h
