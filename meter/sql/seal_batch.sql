-- Chain the batch to the one before it, move the head of the shard, wake the readers: one round trip.
-- $1 shard int, $2 batch bigint, $3 first_position bigint, $4 last_position bigint, $5 usage_from bigint,
-- $6 usage_to bigint, $7 accounts_from bigint, $8 accounts_to bigint, $9 stored int, $10 duplicates int,
-- $11 rejected int, $12 gaps bigint, $13 recorded_at timestamptz, $14 evidence bytea, $15 generation int,
-- $16 rerouted int, $17 waiting int, $18 chain_version smallint, $19 previous bytea, $20 hash bytea
WITH sealed AS (
    INSERT INTO meter.batches
        (shard, batch, first_position, last_position, usage_from, usage_to, accounts_from, accounts_to, stored, duplicates,
         rejected, gaps, recorded_at, evidence, generation, rerouted, waiting, chain_version, previous, hash)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
), moved AS (
    UPDATE meter.shards SET next_position = $4 + 1, next_batch = $2 + 1, head = $20 WHERE shard = $1
)
SELECT pg_notify('meter_events', $1::int::text)
