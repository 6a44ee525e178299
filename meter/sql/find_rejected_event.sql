-- Why a record of an account was rejected, by its bytes, from an offset on: for one whose own offset is not known.
-- $1 shard int, $2 topic text, $3 first offset bigint, $4 account bytea, $5 value bytea
SELECT rejection_id, reason, detail
FROM meter.rejections
WHERE shard = $1 AND topic = $2 AND kafka_offset >= $3 AND key = $4 AND value = $5
ORDER BY kafka_offset DESC
LIMIT 1
