-- Keep the states of balances that are published.
-- $1 shards int[], $2 accounts text[], $3 resources smallint[], $4 positions bigint[], $5 epochs int[],
-- $6 allocations text[], $7 consumed text[], $8 times timestamptz[]
INSERT INTO projections.exhaustion_steps (shard, account_id, resource, position, epoch, allocation, consumed, at)
SELECT shard, account_id, resource, position, epoch, allocation::numeric, consumed::numeric, at
FROM unnest($1::int[], $2::text[], $3::smallint[], $4::bigint[], $5::int[], $6::text[], $7::text[], $8::timestamptz[])
    AS s (shard, account_id, resource, position, epoch, allocation, consumed, at)
