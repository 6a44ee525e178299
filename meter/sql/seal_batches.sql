-- As seal_batch, for several shards; the values by column.
-- $1 shards int[], $2 batches bigint[], $3 first_positions bigint[], $4 last_positions bigint[], $5 usage_from bigint[],
-- $6 usage_to bigint[], $7 accounts_from bigint[], $8 accounts_to bigint[], $9 stored int[], $10 duplicates int[],
-- $11 rejected int[], $12 gaps bigint[], $13 recorded_at timestamptz[], $14 previous bytea[], $15 hashes bytea[]
WITH sealed AS (
    INSERT INTO meter.batches
        (shard, batch, first_position, last_position, usage_from, usage_to, accounts_from, accounts_to,
         stored, duplicates, rejected, gaps, recorded_at, previous, hash)
    SELECT * FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
        $8::bigint[], $9::int[], $10::int[], $11::int[], $12::bigint[], $13::timestamptz[], $14::bytea[], $15::bytea[])
), moved AS (
    UPDATE meter.shards s
    SET next_position = m.last_position + 1, next_batch = m.batch + 1, head = m.hash
    FROM unnest($1::int[], $2::bigint[], $4::bigint[], $15::bytea[]) AS m (shard, batch, last_position, hash)
    WHERE s.shard = m.shard
)
SELECT pg_notify('meter_events', shard::text) FROM unnest($1::int[]) AS n (shard)
