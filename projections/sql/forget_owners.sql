-- Take the owners off the items of the accounts that events in the ranges forget.
-- $1 shards int[], $2 after bigint[], $3 upto bigint[]
UPDATE projections.items i SET owner = NULL
FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS r (shard, after, upto)
-- Fenced as in fold_usage.sql; `type >` finds the index of what is not usage.
CROSS JOIN LATERAL (
    SELECT m.account_id FROM meter.events m
    WHERE m.shard = r.shard /*citus AND m.shard = $1[1] */ AND m.position > r.after AND m.position <= r.upto AND m.type > {{last_usage}}
      AND m.type = {{account.forgotten.v1}}
    OFFSET 0
) AS e
WHERE i.shard = r.shard /*citus AND i.shard = $1[1] */ AND i.account_id = e.account_id COLLATE "C" AND i.owner IS NOT NULL
