-- Replace a shard's months that differ from what its days add up to, as far as they are summed up. Returns how many rows there are
-- then, and how many were added, changed and removed.
-- $1 shard int
WITH days AS MATERIALIZED (
    SELECT t.*
    FROM projections.usage_totals t
    JOIN projections.usage_summed p ON p.shard = t.shard
    WHERE t.shard = $1 AND t.day < CASE WHEN t.account_id <= p.upto THEN p.target ELSE p.summed END
), expected AS MATERIALIZED (
    SELECT account_id, date_trunc('month', day)::date AS month, resource, kind, item, deployment, category, status,
           sum(events)::bigint AS events, sum(amount) AS amount, sum(tokens_in) AS tokens_in, sum(tokens_out) AS tokens_out,
           sum(seconds) AS seconds, max(last_used) AS last_used
    FROM days
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
), removed AS (
    DELETE FROM projections.usage_months s
    WHERE s.shard = $1
      AND NOT EXISTS (
          SELECT FROM expected e
          WHERE s.account_id = e.account_id AND s.month = e.month AND s.resource = e.resource AND s.kind = e.kind
            AND s.item = e.item AND s.deployment = e.deployment AND s.category = e.category AND s.status = e.status)
    RETURNING 1
), differing AS (
    SELECT e.*
    FROM expected e
    LEFT JOIN projections.usage_months s
        ON s.shard = $1 AND s.account_id = e.account_id AND s.month = e.month AND s.resource = e.resource AND s.kind = e.kind
        AND s.item = e.item AND s.deployment = e.deployment AND s.category = e.category AND s.status = e.status
    WHERE (s.events, s.amount, s.tokens_in, s.tokens_out, s.seconds, s.last_used)
          IS DISTINCT FROM (e.events, e.amount, e.tokens_in, e.tokens_out, e.seconds, e.last_used)
), saved AS (
    INSERT INTO projections.usage_months AS t (
        shard, account_id, month, resource, kind, item, deployment, category, status, events, amount, tokens_in, tokens_out,
        seconds, last_used)
    SELECT $1, account_id, month, resource, kind, item, deployment, category, status, events, amount, tokens_in, tokens_out,
        seconds, last_used
    FROM differing
    ON CONFLICT (shard, account_id, month, resource, kind, item, deployment, category, status) DO UPDATE
    SET events = excluded.events, amount = excluded.amount, tokens_in = excluded.tokens_in,
        tokens_out = excluded.tokens_out, seconds = excluded.seconds, last_used = excluded.last_used
    RETURNING xmax = 0 AS added
)
SELECT (SELECT count(*) FROM expected) AS rows, (SELECT count(*) FROM saved WHERE added) AS added,
       (SELECT count(*) FROM saved WHERE NOT added) AS changed, (SELECT count(*) FROM removed) AS removed
