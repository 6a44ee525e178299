-- Why the record of an account was rejected that names an event's id, from an offset on. The newest, should there be several.
-- $1 shard int, $2 topic text, $3 first offset bigint, $4 account bytea, $5 id bytea
SELECT rejection_id, reason, detail
FROM meter.rejections
WHERE shard = $1 AND topic = $2 AND kafka_offset >= $3 AND key = $4 AND position($5::bytea IN value) > 0
ORDER BY kafka_offset DESC
LIMIT 1
