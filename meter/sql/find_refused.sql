-- Refused records in which an account may stand, of a range of numbers; the caller looks closer. What is packed has to be unpacked.
-- The hash of a batch of version 2 covers the rows themselves: those stay.
-- $1 after bigint, $2 upto bigint, $3 account bytea
SELECT shard, rejection_id, topic, reason, detail, key, value, headers::text AS headers, offsets IS NOT NULL AS packed
FROM meter.rejections r
WHERE rejection_id > $1 AND rejection_id <= $2
  AND (offsets IS NOT NULL OR key = $3 AND (value IS NOT NULL OR NOT forgotten) OR position($3 IN value) > 0
       OR EXISTS (SELECT FROM jsonb_array_elements(headers) h (header)
                  WHERE position($3 IN decode(coalesce(header ->> 1, ''), 'base64')) > 0))
  AND NOT EXISTS (
      SELECT FROM meter.batches b
      WHERE b.shard = r.shard AND b.chain_version = 2
        AND CASE r.topic WHEN 'metering.usage' THEN r.kafka_offset >= b.usage_from AND r.kafka_offset < b.usage_to
                         ELSE r.kafka_offset >= b.accounts_from AND r.kafka_offset < b.accounts_to END)
