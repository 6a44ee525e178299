-- Events of a range of positions that were sealed when a generation or a later one began, with the key of their account.
-- $1 shard int, $2 generation int, $3 from position bigint, $4 to position bigint (both included)
SELECT e.position, e.type, e.account_id, e.data, coalesce(k.key, ''::bytea) AS key
FROM meter.sealed_later s
JOIN meter.events e ON e.shard = s.shard AND e.position = s.position
LEFT JOIN meter.keys k ON k.shard = e.shard AND k.account_id = e.account_id
WHERE s.shard = $1 AND s.generation >= $2 AND s.position BETWEEN $3 AND $4
ORDER BY e.position
