-- Usage of an account on days of its own zone, by item and what it was used for: whole months from their sums, as far as there are
-- any, and days for the rest.
-- $1 account text, $2 first day date, $3 last day date (both included), $4 kind text or null (for all kinds)
WITH months AS MATERIALIZED (
    SELECT b.first, greatest(b.first, least(date_trunc('month', $3::date + 1)::date, a.until)) AS until
    FROM (SELECT date_trunc('month', $2::date + interval '1 month - 1 day')::date AS first) AS b
    CROSS JOIN (
        SELECT coalesce(min(until), '-infinity') AS until FROM projections.usage_months_until WHERE account_id = $1
    ) AS a
), parts AS (
    SELECT resource, kind, item, deployment, category, status, events, amount, tokens_in, tokens_out, seconds, last_used
    FROM projections.usage_by_own_month
    WHERE account_id = $1 AND month >= (SELECT first FROM months) AND month < (SELECT until FROM months)
      AND ($4::text IS NULL OR kind = $4)
    UNION ALL
    SELECT resource, kind, item, deployment, category, status, events, amount, tokens_in, tokens_out, seconds, last_used
    FROM projections.usage_by_own_day
    WHERE account_id = $1 AND day >= $2 AND day < (SELECT least(first, $3::date + 1) FROM months)
      AND ($4::text IS NULL OR kind = $4)
    UNION ALL
    SELECT resource, kind, item, deployment, category, status, events, amount, tokens_in, tokens_out, seconds, last_used
    FROM projections.usage_by_own_day
    WHERE account_id = $1 AND day >= (SELECT until FROM months) AND day <= $3 AND ($4::text IS NULL OR kind = $4)
)
SELECT resource, kind, item, deployment, category, status, sum(events)::bigint AS events, sum(amount) AS amount,
       sum(tokens_in) AS tokens_in, sum(tokens_out) AS tokens_out, sum(seconds) AS seconds, max(last_used) AS last_used
FROM parts
GROUP BY item, deployment, kind, resource, category, status  -- items first: what differs most sorts fastest
