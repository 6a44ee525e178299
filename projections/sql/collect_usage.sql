-- Collect the ranges' usage by day for a rebuild, and return per account and resource what was used.
-- $1 shards int[], $2 after bigint[], $3 upto bigint[]
WITH usage AS MATERIALIZED (
    SELECT e.account_id COLLATE "C" AS account_id, (e.occurred_at AT TIME ZONE 'UTC')::date AS day, e.resource, e.type,
           e.name COLLATE "C" AS name, e.shard, count(*) AS events, sum(e.amount)::bigint AS amount,
           max(e.position) AS position, max(e.recorded_at) AS as_of
    FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS r (shard, after, upto)
    JOIN meter.events e ON e.shard = r.shard AND e.position > r.after AND e.position <= r.upto
    WHERE e.type BETWEEN 1 AND 4 OR e.type = 14
    GROUP BY 1, 2, 3, 4, 5, 6
), collected AS (
    INSERT INTO projections.rebuilt_usage (account_id, day, resource, type, name, shard, events, amount)
    SELECT account_id, day, resource, type, name, shard, events, amount FROM usage
)
SELECT account_id, resource, shard, sum(events)::bigint AS events, sum(amount)::bigint AS amount,
       max(position) AS position, max(as_of) AS as_of
FROM usage
WHERE type < 10
GROUP BY account_id, resource, shard
