-- Record which Kafka records are in another partition than their account's, and keep them to be sent on; the digest of the
-- rows is for the chain.
-- $1 shard int, $2 recorded_at timestamptz, $3 topics text[], $4 kafka offsets bigint[], $5 partitions int[],
-- $6 accounts text[], $7 sources text[], $8 keys bytea[], $9 values bytea[], $10 headers text[] (JSON),
-- $11 timestamps in ms bigint[]
WITH moved AS (
    SELECT *
    FROM unnest(
        $3::text[], $4::bigint[], $5::int[], $6::text[], $7::text[], $8::bytea[], $9::bytea[], $10::text[], $11::bigint[]
    ) AS r (topic, kafka_offset, partition, account_id, source, key, value, headers, timestamp_ms)
), waiting AS (
    INSERT INTO meter.outbox (shard, topic, kafka_offset, partition, key, value, headers, timestamp_ms)
    SELECT $1, m.topic, m.kafka_offset, m.partition, m.key, m.value, m.headers, m.timestamp_ms
    FROM moved m
), appended AS (
    INSERT INTO meter.rerouted (shard, topic, kafka_offset, partition, account_id, source, recorded_at)
    SELECT $1, m.topic, m.kafka_offset, m.partition, m.account_id, m.source, $2
    FROM moved m
    RETURNING *
)
SELECT sha256(string_agg(
    record_send(ROW(a.shard, a.topic, a.kafka_offset, a.partition, a.account_id, a.source, a.recorded_at)),
    ''::bytea ORDER BY a.topic COLLATE "C", a.kafka_offset))
FROM appended a
