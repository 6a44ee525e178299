-- Record which Kafka records repeated a stored event; the digest of the rows is for the chain.
-- $1 shard int, $2 recorded_at timestamptz, $3 topics text[], $4 kafka offsets bigint[], $5 ids text[],
-- $6 offsets text[] (multiranges, where a row stands for many records; null where for one)
WITH appended AS (
    INSERT INTO meter.duplicates (shard, topic, kafka_offset, recorded_at, id, offsets)
    SELECT $1, d.topic, d.kafka_offset, $2, d.id, d.offsets::int8multirange
    FROM unnest($3::text[], $4::bigint[], $5::text[], $6::text[]) AS d (topic, kafka_offset, id, offsets)
    RETURNING *
)
SELECT sha256(string_agg(
    CASE WHEN a.offsets IS NULL
        THEN record_send(ROW(a.shard, a.topic, a.kafka_offset, a.event_id, a.recorded_at, a.id))
        ELSE record_send(ROW(a.shard, a.topic, a.kafka_offset, a.event_id, a.recorded_at, a.id, a.offsets))
    END,
    ''::bytea ORDER BY a.topic COLLATE "C", a.kafka_offset))
FROM appended a
