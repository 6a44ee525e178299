-- Balances that are new, or of which more than the consumption changed. Totals come as text, boundaries as array text:
-- unnest would flatten an array of arrays.
-- $1 accounts text[], $2 resources smallint[], $3 shards int[], $4 granted text[], $5 consumed text[],
-- $6 bases text[], $7 epochs int[], $8 boundaries text[], $9 positions bigint[], $10 as_of timestamptz[],
-- $11 opened boolean[], $12 closed boolean[], $13 free_only boolean[]
INSERT INTO projections.balance_states AS s
    (account_id, resource, shard, granted, consumed, base, epoch, boundaries, position, as_of, opened, closed,
     free_only)
SELECT account_id, resource, shard, granted::numeric, consumed::numeric, base::numeric, epoch, boundaries::numeric[],
       position, as_of, opened, closed, free_only
FROM unnest(
    $1::text[], $2::smallint[], $3::int[], $4::text[], $5::text[],
    $6::text[], $7::int[], $8::text[], $9::bigint[], $10::timestamptz[], $11::boolean[], $12::boolean[],
    $13::boolean[]
) AS n (account_id, resource, shard, granted, consumed, base, epoch, boundaries, position, as_of, opened, closed,
     free_only)
ON CONFLICT (/*citus shard, */ account_id, resource) DO UPDATE
SET granted = excluded.granted, consumed = excluded.consumed, base = excluded.base, epoch = excluded.epoch,
    boundaries = excluded.boundaries, position = excluded.position, as_of = excluded.as_of,
    opened = excluded.opened, closed = excluded.closed, free_only = excluded.free_only
