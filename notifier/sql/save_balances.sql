-- Keep balances as they are now.
-- $1 account_ids text[], $2 resources text[], $3 shards int[], $4 positions bigint[], $5 epochs int[],
-- $6 allocations numeric[], $7 consumed numeric[], $8 lines smallint[], $9 as of timestamptz[], $10 free_only boolean[],
-- $11 generations int[], $12 changed_at timestamptz
INSERT INTO notifier.balances (account_id, resource, shard, position, epoch, allocation, consumed, line, as_of,
                               free_only, generation, changed_at)
SELECT account_id, resource, shard, position, epoch, allocation, consumed, line, as_of, free_only, generation, $12
FROM unnest($1::text[], $2::text[], $3::int[], $4::bigint[], $5::int[], $6::numeric[], $7::numeric[], $8::smallint[],
            $9::timestamptz[], $10::boolean[], $11::int[])
    AS new (account_id, resource, shard, position, epoch, allocation, consumed, line, as_of, free_only, generation)
ON CONFLICT (/*citus shard, */ account_id, resource) DO UPDATE SET
    /*citus -- */ shard = excluded.shard,
    position = excluded.position, epoch = excluded.epoch,
    allocation = excluded.allocation, consumed = excluded.consumed, line = excluded.line, as_of = excluded.as_of,
    free_only = excluded.free_only, generation = excluded.generation, changed_at = excluded.changed_at
