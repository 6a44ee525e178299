-- Events of a range of positions as chains of version 2 cover them, for a binary COPY.
-- $1 shard int, $2 from position bigint, $3 to position bigint (both included)
SELECT position, amount, kafka_offset, occurred_at, recorded_at, event_id, shard, type, resource, account_id, name, source,
       data, extensions
FROM meter.events
WHERE shard = $1 AND position BETWEEN $2 AND $3
ORDER BY position
