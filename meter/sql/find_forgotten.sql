-- When the addresses and names of an account were forgotten; no row: they are not.
-- $1 shard int, $2 account text
SELECT forgotten_at FROM meter.keys WHERE shard = $1 AND account_id = $2 AND key IS NULL
