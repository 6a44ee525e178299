-- Keep the records that break the contract, byte for byte; the digest of the rows is for the chain.
-- $1 shard int, $2 recorded_at timestamptz, $3 topics text[], $4 kafka offsets bigint[], $5 reasons text[],
-- $6 details text[], $7 keys bytea[], $8 values bytea[], $9 headers text[] (JSON), $10 kafka timestamps timestamptz[]
WITH appended AS (
    INSERT INTO meter.rejections
        (shard, topic, kafka_offset, reason, detail, key, value, headers, kafka_timestamp, recorded_at)
    SELECT $1, r.topic, r.kafka_offset, r.reason, r.detail, r.key, r.value, r.headers::jsonb, r.kafka_timestamp, $2
    FROM unnest(
        $3::text[], $4::bigint[], $5::text[], $6::text[], $7::bytea[], $8::bytea[], $9::text[], $10::timestamptz[]
    ) AS r (topic, kafka_offset, reason, detail, key, value, headers, kafka_timestamp)
    RETURNING *
)
SELECT sha256(string_agg(
    record_send(ROW(
        a.rejection_id, a.shard, a.topic, a.kafka_offset, a.reason, a.detail, a.key, a.value, a.headers::text,
        a.kafka_timestamp, a.recorded_at)),
    ''::bytea ORDER BY a.topic COLLATE "C", a.kafka_offset))
FROM appended a
