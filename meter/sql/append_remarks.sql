-- What was left out of events of a batch.
-- $1 shard int, $2 recorded at timestamptz, $3 topics text[], $4 offsets bigint[], $5 accounts text[], $6 fields text[],
-- $7 reasons text[]
INSERT INTO meter.remarks (shard, topic, kafka_offset, account_id, field, reason, recorded_at)
SELECT $1, topic, kafka_offset, account_id, field, reason, $2
FROM unnest($3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[])
     AS u (topic, kafka_offset, account_id, field, reason)
