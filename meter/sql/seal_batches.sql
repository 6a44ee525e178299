-- seal_batch for several shards at once: an array of each of its columns.
-- $1 shard int[], $2 batch bigint[], $3 first_position bigint[], $4 last_position bigint[], $5 usage_from bigint[],
-- $6 usage_to bigint[], $7 accounts_from bigint[], $8 accounts_to bigint[], $9 stored int[], $10 duplicates int[],
-- $11 rejected int[], $12 gaps bigint[], $13 recorded_at timestamptz[], $14 evidence bytea[], $15 generation int[],
-- $16 rerouted int[], $17 waiting int[], $18 chain_version smallint[], $19 previous bytea[], $20 hash bytea[]
WITH sealed AS (
    INSERT INTO meter.batches
        (shard, batch, first_position, last_position, usage_from, usage_to, accounts_from, accounts_to, stored, duplicates,
         rejected, gaps, recorded_at, evidence, generation, rerouted, waiting, chain_version, previous, hash)
    SELECT *
    FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
                $9::int[], $10::int[], $11::int[], $12::bigint[], $13::timestamptz[], $14::bytea[], $15::int[], $16::int[],
                $17::int[], $18::smallint[], $19::bytea[], $20::bytea[])
), moved AS (
    UPDATE meter.shards s
    SET next_position = n.last_position + 1, next_batch = n.batch + 1, head = n.hash
    FROM unnest($1::int[], $2::bigint[], $4::bigint[], $20::bytea[]) AS n (shard, batch, last_position, hash)
    WHERE s.shard = n.shard
)
SELECT pg_notify('meter_events', shard::text) FROM unnest($1::int[]) AS n (shard)
