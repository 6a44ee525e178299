-- Nothing is left to do for an account that was forgotten.
-- $1 shard int, $2 account text
UPDATE meter.keys SET cleared_at = now() WHERE shard = $1 AND account_id = $2 AND key IS NULL
