-- The keys of these accounts, those there are; empty where the account was forgotten.
-- $1 shard int, $2 accounts text[]
SELECT account_id, coalesce(key, ''::bytea) AS key
FROM meter.keys
WHERE shard = $1 AND account_id = ANY ($2::text[])
