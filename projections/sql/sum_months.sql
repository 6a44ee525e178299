-- Sum up the months of accounts, in place of what may stand there.
-- $1 shard int, $2 after account text, $3 upto account text, $4 first month date, $5 until month date (not included)
INSERT INTO projections.usage_months AS s (
    shard, account_id, month, resource, kind, item, deployment, category, status, events, amount, tokens_in, tokens_out, seconds,
    last_used)
SELECT t.shard, t.account_id, date_trunc('month', t.day)::date, t.resource, t.kind, t.item, t.deployment, t.category, t.status,
       sum(t.events), sum(t.amount), sum(t.tokens_in), sum(t.tokens_out), sum(t.seconds), max(t.last_used)
FROM projections.usage_totals t
WHERE t.shard = $1 AND t.account_id > $2 COLLATE "C" AND t.account_id <= $3 COLLATE "C" AND t.day >= $4 AND t.day < $5
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
ON CONFLICT (shard, account_id, month, resource, kind, item, deployment, category, status) DO UPDATE
SET events = excluded.events, amount = excluded.amount, tokens_in = excluded.tokens_in, tokens_out = excluded.tokens_out,
    seconds = excluded.seconds, last_used = excluded.last_used
