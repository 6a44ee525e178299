-- Keep the records that break the contract, byte for byte; the digest of the rows is for the chain. It covers the columns
-- of a range, of a cut original and of packed records only where one is set: rows of before they existed keep their digest.
-- $1 shard int, $2 recorded_at timestamptz, $3 topics text[], $4 kafka offsets bigint[], $5 reasons text[],
-- $6 details text[], $7 keys bytea[], $8 values bytea[], $9 headers text[] (JSON), $10 kafka timestamps timestamptz[],
-- $11 to offsets bigint[], $12 original lengths bigint[],
-- $13 original digests bytea[] (SHA-256; both null where the original is kept whole),
-- $14 offsets text[] (multiranges; null where it stands for no packed records)
WITH appended AS (
    INSERT INTO meter.rejections
        (shard, topic, kafka_offset, reason, detail, key, value, headers, kafka_timestamp, recorded_at,
         to_offset, original_bytes, original_sha256, offsets)
    SELECT $1, r.topic, r.kafka_offset, r.reason, r.detail, r.key, r.value, r.headers::jsonb, r.kafka_timestamp, $2,
           r.to_offset, r.original_bytes, r.original_sha256, r.offsets::int8multirange
    FROM unnest(
        $3::text[], $4::bigint[], $5::text[], $6::text[], $7::bytea[], $8::bytea[], $9::text[], $10::timestamptz[],
        $11::bigint[], $12::bigint[], $13::bytea[], $14::text[]
    ) AS r (
        topic, kafka_offset, reason, detail, key, value, headers, kafka_timestamp, to_offset, original_bytes,
        original_sha256, offsets)
    RETURNING *
)
SELECT sha256(string_agg(
    CASE WHEN a.offsets IS NOT NULL
        THEN record_send(ROW(
            a.rejection_id, a.shard, a.topic, a.kafka_offset, a.reason, a.detail, a.key, a.value, a.headers::text,
            a.kafka_timestamp, a.recorded_at, a.to_offset, a.original_bytes, a.original_sha256, a.offsets))
        WHEN a.to_offset IS NULL AND a.original_bytes IS NULL AND a.original_sha256 IS NULL
        THEN record_send(ROW(
            a.rejection_id, a.shard, a.topic, a.kafka_offset, a.reason, a.detail, a.key, a.value, a.headers::text,
            a.kafka_timestamp, a.recorded_at))
        ELSE record_send(ROW(
            a.rejection_id, a.shard, a.topic, a.kafka_offset, a.reason, a.detail, a.key, a.value, a.headers::text,
            a.kafka_timestamp, a.recorded_at, a.to_offset, a.original_bytes, a.original_sha256))
    END,
    ''::bytea ORDER BY a.topic COLLATE "C", a.kafka_offset))
FROM appended a
