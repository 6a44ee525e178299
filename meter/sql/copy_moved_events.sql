-- As copy_events, of a shard some of whose accounts have moved with their events: these are read as they were when
-- their batches were sealed.
-- $1 shard int, $2 from position bigint, $3 to position bigint (both included)
SELECT position, amount, kafka_offset, occurred_at, recorded_at, event_id, $1::int AS shard, type, resource, account_id, name,
       source, data, extensions, id, event_key
FROM (
    SELECT * FROM meter.events WHERE shard = $1 AND position BETWEEN $2 AND $3
    UNION ALL
    SELECT e.*
    FROM meter.moved m
    CROSS JOIN LATERAL (
        SELECT * FROM meter.events v WHERE v.shard = m.shard AND v.position BETWEEN $2 AND least($3, m.upto) OFFSET 0
    ) e
    WHERE m.origin = $1
) events
ORDER BY position
