-- Record which Kafka records are in another partition than their account's, and keep them to be sent on; the digest of the
-- rows is for the chain. From $9 on it is what is sent on; before, the rows, of which one may stand for many records.
-- $1 shard int, $2 recorded_at timestamptz, $3 topics text[], $4 kafka offsets bigint[], $5 partitions int[],
-- $6 accounts text[], $7 sources text[], $8 offsets text[] (multiranges; null where a row stands for one record),
-- $9 topics text[], $10 kafka offsets bigint[], $11 partitions int[], $12 keys bytea[], $13 values bytea[],
-- $14 headers text[] (JSON), $15 timestamps in ms bigint[]
WITH waiting AS (
    INSERT INTO meter.outbox (shard, topic, kafka_offset, partition, key, value, headers, timestamp_ms)
    SELECT $1, m.topic, m.kafka_offset, m.partition, m.key, m.value, m.headers, m.timestamp_ms
    FROM unnest($9::text[], $10::bigint[], $11::int[], $12::bytea[], $13::bytea[], $14::text[], $15::bigint[])
        AS m (topic, kafka_offset, partition, key, value, headers, timestamp_ms)
), appended AS (
    INSERT INTO meter.rerouted (shard, topic, kafka_offset, partition, account_id, source, recorded_at, offsets)
    SELECT $1, r.topic, r.kafka_offset, r.partition, r.account_id, r.source, $2, r.offsets::int8multirange
    FROM unnest($3::text[], $4::bigint[], $5::int[], $6::text[], $7::text[], $8::text[])
        AS r (topic, kafka_offset, partition, account_id, source, offsets)
    RETURNING *
)
SELECT sha256(string_agg(
    CASE WHEN a.offsets IS NULL
        THEN record_send(ROW(a.shard, a.topic, a.kafka_offset, a.partition, a.account_id, a.source, a.recorded_at))
        ELSE record_send(ROW(
            a.shard, a.topic, a.kafka_offset, a.partition, a.account_id, a.source, a.recorded_at, a.offsets))
    END,
    ''::bytea ORDER BY a.topic COLLATE "C", a.kafka_offset))
FROM appended a
