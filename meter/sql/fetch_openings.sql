-- The events that opened these accounts.
-- $1 shard int, $2 accounts text[]
SELECT o.account_id, o.position, e.type, e.data::text AS data
FROM meter.openings o
JOIN meter.events e ON e.shard = o.shard AND e.position = o.position
WHERE o.shard = $1 AND o.account_id = ANY ($2::text[])
