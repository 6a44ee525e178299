-- append_duplicates for several shards at once; returns the digest of each.
-- $1 shards int[], $2 recorded_at timestamptz[], $3 topics text[], $4 kafka offsets bigint[], $5 ids text[],
-- $6 offsets text[] (multiranges, where a row stands for many records; null where for one)
WITH appended AS (
    INSERT INTO meter.duplicates (shard, topic, kafka_offset, recorded_at, id, offsets)
    SELECT d.shard, d.topic, d.kafka_offset, d.recorded_at, d.id, d.offsets::int8multirange
    FROM unnest($1::int[], $2::timestamptz[], $3::text[], $4::bigint[], $5::text[], $6::text[])
        AS d (shard, recorded_at, topic, kafka_offset, id, offsets)
    RETURNING *
)
SELECT a.shard, sha256(string_agg(
    CASE WHEN a.offsets IS NULL
        THEN record_send(ROW(a.shard, a.topic, a.kafka_offset, a.event_id, a.recorded_at, a.id))
        ELSE record_send(ROW(a.shard, a.topic, a.kafka_offset, a.event_id, a.recorded_at, a.id, a.offsets))
    END,
    ''::bytea ORDER BY a.topic COLLATE "C", a.kafka_offset))
FROM appended a
GROUP BY a.shard
