-- What each item of an account used on days of its own zone, as sum_days.sql but amounts alone: half the time, for pages that show
-- no more.
-- $1 account text, $2 first day date, $3 last day date (both included)
WITH months AS MATERIALIZED (
    SELECT b.first, greatest(b.first, least(date_trunc('month', $3::date + 1)::date, a.until)) AS until
    FROM (SELECT date_trunc('month', $2::date + interval '1 month - 1 day')::date AS first) AS b
    CROSS JOIN (
        SELECT coalesce(min(until), '-infinity') AS until FROM projections.usage_months_until WHERE account_id = $1
    ) AS a
), parts AS (
    SELECT resource, kind, item, amount
    FROM projections.usage_by_own_month
    WHERE account_id = $1 AND month >= (SELECT first FROM months) AND month < (SELECT until FROM months)
    UNION ALL
    SELECT resource, kind, item, amount
    FROM projections.usage_by_own_day
    WHERE account_id = $1 AND day >= $2 AND day < (SELECT least(first, $3::date + 1) FROM months)
    UNION ALL
    SELECT resource, kind, item, amount
    FROM projections.usage_by_own_day
    WHERE account_id = $1 AND day >= (SELECT until FROM months) AND day <= $3
)
SELECT resource, kind, item, sum(amount) AS amount
FROM parts
GROUP BY item, kind, resource  -- items first: what differs most sorts fastest
