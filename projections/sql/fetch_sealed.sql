-- Account events whose data holds, or held, addresses and names; where the account has a key, with it. An empty one: forgotten.
-- $1 shard int, $2 position bigint
SELECT e.position, e.type, e.account_id, e.data::text AS data, coalesce(k.key, ''::bytea) AS key
FROM meter.keys k
JOIN meter.events e ON e.shard = k.shard AND e.account_id = k.account_id
WHERE k.shard = $1 AND e.shard = $1 AND e.position <= $2 AND e.type > {{last_usage}} AND e.type IN ({{personal}}) AND e.type IN ({{account}})
ORDER BY e.position
