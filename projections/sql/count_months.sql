-- Sum up the months of accounts from their days, as far as those of the shard are.
-- $1 shards int[], $2 accounts text[]
WITH days AS MATERIALIZED (
    SELECT t.*
    FROM unnest($1::int[], $2::text[]) AS n (shard, account_id)
    JOIN projections.usage_summed p ON p.shard = n.shard /*citus AND p.shard = $1[1] */
    JOIN projections.usage_totals t ON t.shard = n.shard /*citus AND t.shard = $1[1] */ AND t.account_id = n.account_id COLLATE "C"
    WHERE t.day < CASE WHEN t.account_id <= p.upto THEN p.target ELSE p.summed END
), kinds AS (
    INSERT INTO projections.usage_day_kinds (shard, account_id, day, resource, kind, amount)
    SELECT shard, account_id, day, resource, kind, sum(amount) FROM days GROUP BY 1, 2, 3, 4, 5
)
INSERT INTO projections.usage_months (
    shard, account_id, month, resource, kind, item, deployment, category, status, events, amount, tokens_in, tokens_out, seconds,
    last_used)
SELECT shard, account_id, date_trunc('month', day)::date, resource, kind, item, deployment, category, status, sum(events),
       sum(amount), sum(tokens_in), sum(tokens_out), sum(seconds), max(last_used)
FROM days
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
