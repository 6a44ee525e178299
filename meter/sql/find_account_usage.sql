-- The usage of an account among a piece of its shard's log, newest first, and what of each event is reversed.
-- $1 shard int, $2 first position bigint, $3 last position bigint, $4 account text, $5 resource code int or null,
-- $6 since timestamptz or null, $7 limit bigint
SELECT e.occurred_at, coalesce(e.id, encode(substr(e.event_key, 1, 16), 'hex')::uuid::text, e.event_id::text) AS event_id,
       e.source, e.resource, e.type, e.name, e.amount,
       coalesce((SELECT sum(r.amount)::bigint FROM meter.reversals r
                 WHERE r.shard = $1 AND r.reverses = e.position), 0) AS reversed
FROM meter.events e
WHERE e.shard = $1 AND e.position BETWEEN $2 AND $3 AND e.account_id = $4 AND e.type IN ({{usage}})
  AND ($5::int IS NULL OR e.resource = $5) AND ($6::timestamptz IS NULL OR e.occurred_at >= $6)
ORDER BY e.position DESC
LIMIT $7
