-- Usage of an account by day of its own zone and kind.
-- $1 account text, $2 first day date, $3 last day date (both included)
SELECT day, resource, kind, sum(amount) AS amount
FROM projections.usage_by_own_day
WHERE account_id = $1 AND day >= $2 AND day <= $3
GROUP BY day, resource, kind
