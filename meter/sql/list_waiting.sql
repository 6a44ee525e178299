-- Reversals that were read before the usage they name, newest first: those that still wait, on demand those sent again as well.
-- $1 account text or null, $2 all boolean, $3 limit bigint
SELECT w.account_id, w.event_id, w.reverses, w.shard, w.kafka_offset,
       w.usage_end, o.usage_ends, w.recorded_at, o.shard IS NOT NULL AS waits
FROM meter.waiting w
LEFT JOIN meter.outbox o ON o.shard = w.shard AND o.topic = w.topic AND o.kafka_offset = w.kafka_offset
WHERE ($1::text IS NULL OR w.account_id = $1) AND ($2 OR o.shard IS NOT NULL)
ORDER BY w.recorded_at DESC, w.shard, w.kafka_offset DESC
LIMIT $3
