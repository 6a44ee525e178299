-- The event that is stored under an identity, what it says, and the last position of what was stored with it (an opening has its free
-- allowance behind it). An event stored before events had a key is found by its UUID.
-- $1 shard int, $2 key bytea, $3 id uuid or null, $4 account text, $5 source text
SELECT e.position, e.recorded_at,
       (SELECT max(f.position) FROM meter.events f
        WHERE f.shard = e.shard AND f.position BETWEEN e.position AND e.position + 2
          AND f.account_id = e.account_id AND f.kafka_offset = e.kafka_offset AND f.recorded_at = e.recorded_at
       ) AS last_position, e.type, e.resource, e.amount, e.name, e.occurred_at, e.kafka_offset
FROM meter.events e
WHERE e.shard = $1 AND (e.event_key = $2 OR (e.event_key IS NULL AND e.event_id = $3 AND e.account_id = $4 AND e.source = $5))
ORDER BY e.position
LIMIT 1
