-- The events that opened these accounts, with the keys of the accounts; an empty key: forgotten.
-- $1 shard int, $2 accounts text[]
SELECT o.account_id, o.position, e.type, e.data::text AS data,
       CASE WHEN k.shard IS NOT NULL THEN coalesce(k.key, ''::bytea) END AS key
FROM meter.openings o
JOIN meter.events e ON e.shard = o.shard AND e.position = o.position
LEFT JOIN meter.keys k ON k.shard = o.shard AND k.account_id = o.account_id
WHERE o.shard = $1 AND o.account_id = ANY ($2::text[])
