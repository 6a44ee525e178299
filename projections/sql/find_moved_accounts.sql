-- Accounts with an event in the ranges that may have named a zone, where it is another than the one their days are counted in.
-- A zone that Postgres does not know is none.
-- $1 shards int[], $2 after bigint[], $3 upto bigint[]
SELECT n.shard, n.account_id, n.time_zone
FROM (
    SELECT a.shard, a.account_id, CASE WHEN projections.is_time_zone(a.time_zone) THEN a.time_zone END AS time_zone
    FROM (
        SELECT DISTINCT e.shard, e.account_id COLLATE "C" AS account_id
        FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS r (shard, after, upto)
        -- Fenced as in fold_usage.sql; `type >` finds the index of what is not usage.
        CROSS JOIN LATERAL (
            SELECT shard, account_id FROM meter.events l
            WHERE l.shard = r.shard /*citus AND l.shard = $1[1] */ AND l.position > r.after AND l.position <= r.upto AND l.type > {{last_usage}}
              AND l.type IN ({{account.opened.v1}}, {{account.renamed.v1}})
            OFFSET 0
        ) AS e
    ) AS e
    JOIN LATERAL (
        SELECT * FROM projections.account_states s WHERE s.account_id = e.account_id AND s.shard = e.shard /*citus AND s.shard = $1[1] */ OFFSET 0
    ) AS a ON true
) AS n
LEFT JOIN projections.usage_zones z ON z.shard = n.shard /*citus AND z.shard = $1[1] */ AND z.account_id = n.account_id
WHERE z.time_zone IS DISTINCT FROM n.time_zone
