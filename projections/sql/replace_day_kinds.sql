-- Replace a shard's amounts by day and kind that differ from what its days add up to, as far as months are summed up. Returns how
-- many rows there are then, and how many were added, changed and removed.
-- $1 shard int
WITH expected AS MATERIALIZED (
    SELECT t.account_id, t.day, t.resource, t.kind, sum(t.amount) AS amount
    FROM projections.usage_totals t
    JOIN projections.usage_summed p ON p.shard = t.shard
    WHERE t.shard = $1 AND t.day < CASE WHEN t.account_id <= p.upto THEN p.target ELSE p.summed END
    GROUP BY 1, 2, 3, 4
), removed AS (
    DELETE FROM projections.usage_day_kinds s
    WHERE s.shard = $1
      AND NOT EXISTS (
          SELECT FROM expected e
          WHERE s.account_id = e.account_id AND s.day = e.day AND s.resource = e.resource AND s.kind = e.kind)
    RETURNING 1
), saved AS (
    INSERT INTO projections.usage_day_kinds AS t (shard, account_id, day, resource, kind, amount)
    SELECT $1, e.account_id, e.day, e.resource, e.kind, e.amount
    FROM expected e
    LEFT JOIN projections.usage_day_kinds s
        ON s.shard = $1 AND s.account_id = e.account_id AND s.day = e.day AND s.resource = e.resource AND s.kind = e.kind
    WHERE s.amount IS DISTINCT FROM e.amount
    ON CONFLICT (shard, account_id, day, resource, kind) DO UPDATE SET amount = excluded.amount
    RETURNING xmax = 0 AS added
)
SELECT (SELECT count(*) FROM expected) AS rows, (SELECT count(*) FROM saved WHERE added) AS added,
       (SELECT count(*) FROM saved WHERE NOT added) AS changed, (SELECT count(*) FROM removed) AS removed
