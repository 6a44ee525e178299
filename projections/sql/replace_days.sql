-- Replace a shard's days that differ from what its slots add up to, as far as they are added up. Returns how many rows there are
-- then, and how many were added, changed and removed.
-- $1 shard int
WITH expected AS MATERIALIZED (
    SELECT u.account_id, (u.slot AT TIME ZONE coalesce(z.time_zone, 'UTC'))::date AS day, u.resource, u.kind, u.item,
           u.deployment, u.category, u.status, sum(u.events)::bigint AS events, sum(u.amount) AS amount,
           sum(u.tokens_in) AS tokens_in, sum(u.tokens_out) AS tokens_out, sum(u.seconds) AS seconds,
           max(u.last_used) AS last_used
    FROM projections.usage_slots u
    JOIN projections.usage_days_summed p ON p.shard = u.shard
    LEFT JOIN projections.usage_zones z ON z.shard = u.shard AND z.account_id = u.account_id
    WHERE u.shard = $1
      AND (u.slot AT TIME ZONE coalesce(z.time_zone, 'UTC'))::date < CASE WHEN u.account_id <= p.upto THEN p.target ELSE p.summed END
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
), removed AS (
    DELETE FROM projections.usage_totals s
    WHERE s.shard = $1
      AND NOT EXISTS (
          SELECT FROM expected e
          WHERE s.account_id = e.account_id AND s.day = e.day AND s.resource = e.resource AND s.kind = e.kind
            AND s.item = e.item AND s.deployment = e.deployment AND s.category = e.category AND s.status = e.status)
    RETURNING s.account_id, s.day
), differing AS (
    SELECT e.*
    FROM expected e
    LEFT JOIN projections.usage_totals s
        ON s.shard = $1 AND s.account_id = e.account_id AND s.day = e.day AND s.resource = e.resource AND s.kind = e.kind
        AND s.item = e.item AND s.deployment = e.deployment AND s.category = e.category AND s.status = e.status
    WHERE (s.events, s.amount, s.tokens_in, s.tokens_out, s.seconds, s.last_used)
          IS DISTINCT FROM (e.events, e.amount, e.tokens_in, e.tokens_out, e.seconds, e.last_used)
), saved AS (
    INSERT INTO projections.usage_totals AS t (
        shard, account_id, day, resource, kind, item, deployment, category, status, events, amount, tokens_in, tokens_out,
        seconds, last_used)
    SELECT $1, account_id, day, resource, kind, item, deployment, category, status, events, amount, tokens_in, tokens_out,
        seconds, last_used
    FROM differing
    ON CONFLICT (shard, account_id, day, resource, kind, item, deployment, category, status) DO UPDATE
    SET events = excluded.events, amount = excluded.amount, tokens_in = excluded.tokens_in,
        tokens_out = excluded.tokens_out, seconds = excluded.seconds, last_used = excluded.last_used
    RETURNING xmax = 0 AS added
)
SELECT (SELECT count(*) FROM expected) AS rows, (SELECT count(*) FROM saved WHERE added) AS added,
       (SELECT count(*) FROM saved WHERE NOT added) AS changed, (SELECT count(*)
        FROM removed r
        JOIN projections.usage_days_summed p ON p.shard = $1
        WHERE r.day < CASE WHEN r.account_id <= p.upto THEN p.target ELSE p.summed END) AS removed  -- the others do not count yet
