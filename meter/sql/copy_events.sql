-- Events of a range of positions, for a binary COPY: the bytes that the meter copied in (meter/store/layout.py).
-- $1 shard int, $2 from position bigint, $3 to position bigint (both included)
SELECT position, amount, kafka_offset, occurred_at, recorded_at, event_id, shard, type, resource, account_id, name, source,
       data, extensions, id, event_key
FROM meter.events
WHERE shard = $1 AND position BETWEEN $2 AND $3
ORDER BY position
