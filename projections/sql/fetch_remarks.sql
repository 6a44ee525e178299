-- What was left out of an account's events, and what was without effect; the newest first.
-- $1 shard int, $2 account text, $3 limit bigint
SELECT kafka_offset AS "offset", field, reason, recorded_at
FROM meter.remarks
WHERE (shard = $1 OR shard IN (SELECT origin FROM meter.moved WHERE moved.shard = $1)) AND account_id = $2
ORDER BY kafka_offset DESC, field
LIMIT $3
