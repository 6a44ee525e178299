-- The same as read_summaries where Citus has distributed the tables: each view is asked by itself, and what they say is joined
-- at the coordinator.
-- $1 accounts text[], $2 with runways boolean
WITH wanted AS MATERIALIZED (
    SELECT account_id, projections.shard_of(account_id, nullif((SELECT projections.shards()), 0)) AS shard
    FROM unnest($1::text[]) AS w (account_id)
), accounts AS MATERIALIZED (
    SELECT account_id, plan, display_name, time_zone, state FROM projections.accounts WHERE account_id = ANY ($1::text[])
), balances AS MATERIALIZED (
    SELECT * FROM projections.balances WHERE account_id = ANY ($1::text[])
), banners AS MATERIALIZED (
    SELECT * FROM notifier.shown_banners WHERE account_id = ANY ($1::text[])
), runways AS MATERIALIZED (
    SELECT * FROM projections.runway WHERE $2 AND account_id = ANY ($1::text[]) AND empty_at IS NOT NULL
), as_of AS MATERIALIZED (
    SELECT shard, as_of, lag FROM projections.balances_as_of
)
SELECT w.account_id, a.plan, a.display_name, a.time_zone, a.state, f.as_of, f.lag,
       coalesce(b.balances, '[]') AS balances, coalesce(s.banners, '[]') AS banners, coalesce(r.runways, '[]') AS runways
FROM wanted w
LEFT JOIN accounts a ON a.account_id = w.account_id
LEFT JOIN (
    SELECT account_id, jsonb_agg(to_jsonb(b) ORDER BY b.resource) AS balances, min(b.shard) AS shard
    FROM balances b GROUP BY account_id
) AS b ON b.account_id = w.account_id
LEFT JOIN (
    SELECT account_id, jsonb_agg(to_jsonb(s) ORDER BY s.threshold DESC, s.resource) AS banners
    FROM banners s GROUP BY account_id
) AS s ON s.account_id = w.account_id
LEFT JOIN (
    SELECT account_id, jsonb_agg(to_jsonb(r)) AS runways FROM runways r GROUP BY account_id
) AS r ON r.account_id = w.account_id
LEFT JOIN as_of f ON f.shard = coalesce(b.shard, w.shard)
