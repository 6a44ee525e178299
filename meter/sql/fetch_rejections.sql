-- Whole rejections by number.
-- $1 rejection ids bigint[]
SELECT rejection_id, shard, topic, kafka_offset, reason, detail, key, value, headers::text AS headers,
       kafka_timestamp, recorded_at, to_offset, original_bytes, original_sha256, offsets IS NOT NULL AS packed
FROM meter.rejections
WHERE rejection_id = ANY ($1)
ORDER BY rejection_id
