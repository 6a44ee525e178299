-- Record crossings. A second one of the same line is a fault of the fold: notices_once refuses it.
-- $1 notice_ids uuid[], $2 account_ids text[], $3 resources text[], $4 epochs int[], $5 channels text[],
-- $6 thresholds smallint[], $7 outcomes text[], $8 allocations numeric[], $9 consumed numeric[], $10 shards int[],
-- $11 positions bigint[], $12 created_at timestamptz
INSERT INTO notifier.notices (notice_id, account_id, resource, epoch, channel, threshold, outcome,
                              allocation, consumed, shard, position, created_at)
SELECT notice_id, account_id, resource, epoch, channel, threshold, outcome, allocation, consumed, shard, position, $12
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::text[], $6::smallint[], $7::text[], $8::numeric[],
            $9::numeric[], $10::int[], $11::bigint[])
    AS new (notice_id, account_id, resource, epoch, channel, threshold, outcome, allocation, consumed, shard, position)
