-- What accounts have, in one statement for all: the account, its balances, the banners it sees now, how long credits last. As of when is
-- known of an account without a balance, too: by the shard that its id leads to, which may hold an opening that is not folded yet.
-- $1 accounts text[], $2 with runways boolean (a look at 24 hours of usage: not twice a second)
SELECT w.account_id, a.plan, a.display_name, a.time_zone, a.state, f.as_of, f.lag, b.balances, s.banners, r.runways
FROM unnest($1::text[]) AS w (account_id)
LEFT JOIN projections.accounts a ON a.account_id = w.account_id
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_agg(to_jsonb(b) ORDER BY b.resource), '[]') AS balances, min(b.shard) AS shard
    FROM projections.balances b WHERE b.account_id = w.account_id
) AS b
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_agg(to_jsonb(s) ORDER BY s.threshold DESC, s.resource), '[]') AS banners
    FROM notifier.shown_banners s WHERE s.account_id = w.account_id
) AS s
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_agg(to_jsonb(r)), '[]') AS runways
    FROM projections.runway r WHERE $2 AND r.account_id = w.account_id AND r.empty_at IS NOT NULL
) AS r
LEFT JOIN projections.balances_as_of f
       ON f.shard = coalesce(b.shard, projections.shard_of(w.account_id, nullif((SELECT projections.shards()), 0)))
