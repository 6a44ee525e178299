-- Keep records that break the contract of metering.balances.
-- $1 topic text, $2 shard int, $3 kafka_offsets bigint[], $4 reasons text[], $5 details text[], $6 keys bytea[],
-- $7 values bytea[], $8 recorded_at timestamptz
INSERT INTO notifier.rejections (topic, shard, kafka_offset, reason, detail, key, value, recorded_at)
SELECT $1, $2, kafka_offset, reason, detail, key, value, $8
FROM unnest($3::bigint[], $4::text[], $5::text[], $6::bytea[], $7::bytea[])
    AS new (kafka_offset, reason, detail, key, value)
