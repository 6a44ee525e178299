-- Add up the days of accounts by kind, in place of what may stand there.
-- $1 shard int, $2 after account text, $3 upto account text, $4 first day date, $5 until day date (not included)
INSERT INTO projections.usage_day_kinds AS s (shard, account_id, day, resource, kind, amount)
SELECT t.shard, t.account_id, t.day, t.resource, t.kind, sum(t.amount)
FROM projections.usage_totals t
WHERE t.shard = $1 AND t.account_id > $2 COLLATE "C" AND t.account_id <= $3 COLLATE "C" AND t.day >= $4 AND t.day < $5
GROUP BY 1, 2, 3, 4, 5
ON CONFLICT (shard, account_id, day, resource, kind) DO UPDATE SET amount = excluded.amount
