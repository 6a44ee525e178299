-- Usage of an account by day of its own zone and kind: from the sums by kind as far as months are summed up, and from the days of
-- items for the rest.
-- $1 account text, $2 first day date, $3 last day date (both included)
WITH months AS MATERIALIZED (
    SELECT coalesce(min(until), '-infinity') AS until FROM projections.usage_months_until WHERE account_id = $1
), parts AS (
    SELECT day, resource, kind, amount
    FROM projections.usage_by_day_and_kind
    WHERE account_id = $1 AND day >= $2 AND day <= $3
    UNION ALL
    SELECT day, resource, kind, amount
    FROM projections.usage_by_own_day
    WHERE account_id = $1 AND day >= greatest($2::date, (SELECT until FROM months)) AND day <= $3
)
SELECT day, resource, kind, sum(amount) AS amount
FROM parts
GROUP BY day, resource, kind
