-- Show banners in place of what was shown.
-- $1 account_ids text[], $2 resources text[], $3 thresholds smallint[], $4 kinds text[], $5 removable boolean[],
-- $6 texts text[], $7 epochs int[], $8 shards int[], $9 positions bigint[],
-- $10 generations int[], $11 raised_at timestamptz[]
INSERT INTO notifier.banners (account_id, resource, threshold, kind, removable, text, epoch, shard, position, generation, raised_at)
SELECT account_id, resource, threshold, kind, removable, text, epoch, shard, position, generation, raised_at
FROM unnest($1::text[], $2::text[], $3::smallint[], $4::text[], $5::boolean[], $6::text[], $7::int[], $8::int[],
            $9::bigint[], $10::int[], $11::timestamptz[])
    AS new (account_id, resource, threshold, kind, removable, text, epoch, shard, position, generation, raised_at)
ON CONFLICT (/*citus shard, */ account_id, resource) DO UPDATE SET
    threshold = excluded.threshold, kind = excluded.kind, removable = excluded.removable, text = excluded.text,
    /*citus -- */ shard = excluded.shard,
    epoch = excluded.epoch, position = excluded.position, raised_at = excluded.raised_at,
    generation = excluded.generation
