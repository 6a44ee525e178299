-- The position of the event that opened an account.
-- $1 shard int, $2 account text
SELECT position FROM meter.openings WHERE shard = $1 AND account_id = $2
