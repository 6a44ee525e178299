-- Record which reversals wait for the usage they name, and keep them to be tried again; the digest of the rows is for the chain.
-- $1 shard int, $2 recorded_at timestamptz, $3 topics text[], $4 kafka offsets bigint[], $5 accounts text[], $6 event ids
-- text[], $7 ids of the usage text[], $8 ends of usage bigint[], $9 keys bytea[], $10 values bytea[],
-- $11 headers text[] (JSON), $12 timestamps in ms bigint[], $13 ends of all partitions of usage text[] (arrays)
WITH held AS (
    SELECT *
    FROM unnest(
        $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::bytea[], $10::bytea[],
        $11::text[], $12::bigint[], $13::text[]
    ) AS w (topic, kafka_offset, account_id, event_id, reverses, usage_end, key, value, headers, timestamp_ms, usage_ends)
), kept AS (
    INSERT INTO meter.outbox
        (shard, topic, kafka_offset, partition, key, value, headers, timestamp_ms, usage_end, usage_ends, held_at)
    SELECT $1, h.topic, h.kafka_offset, $1, h.key, h.value, h.headers, h.timestamp_ms, h.usage_end, h.usage_ends::bigint[], $2
    FROM held h
), appended AS (
    INSERT INTO meter.waiting (shard, topic, kafka_offset, account_id, event_id, reverses, usage_end, recorded_at)
    SELECT $1, h.topic, h.kafka_offset, h.account_id, h.event_id, h.reverses, h.usage_end, $2
    FROM held h
    RETURNING *
)
SELECT sha256(string_agg(
    record_send(ROW(
        a.shard, a.topic, a.kafka_offset, a.account_id, a.event_id, a.reverses, a.usage_end, a.recorded_at)),
    ''::bytea ORDER BY a.topic COLLATE "C", a.kafka_offset))
FROM appended a
