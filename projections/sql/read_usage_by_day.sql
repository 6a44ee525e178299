-- Where an account's credits went, newest day first.
-- $1 account text, $2 first day date or null, $3 last day date or null (both included),
-- $4 its shard int or null (any)
SELECT account_id, day, resource, kind, name, events, amount, changed_at
FROM projections.usage_by_day
WHERE account_id = $1 AND ($4::int IS NULL OR shard = $4) AND ($2::date IS NULL OR day >= $2::date) AND ($3::date IS NULL OR day <= $3::date)
ORDER BY day DESC, amount DESC, kind, name
