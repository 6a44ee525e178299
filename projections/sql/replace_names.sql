-- Replace a shard's names of days that differ from those that a rebuild collected, where a day has many: the fold finds those of other
-- days in their lines, as fold_usage.sql has it. They are no lines of usage: rows is 0.
-- $1 shard int
WITH kept AS MATERIALIZED (
    SELECT account_id, day, kind, item
    FROM (
        SELECT account_id, day, kind, item, count(*) OVER (PARTITION BY account_id, day) AS names
        FROM projections.rebuilt_names
        WHERE shard = $1
    ) AS r
    WHERE names > 100
), removed AS (
    DELETE FROM projections.day_names d
    WHERE d.shard = $1
      AND NOT EXISTS (
          SELECT FROM kept k
          WHERE k.account_id = d.account_id AND k.day = d.day AND k.kind = d.kind AND k.item = d.item)
    RETURNING 1
), added AS (
    INSERT INTO projections.day_names (shard, account_id, day, kind, item)
    SELECT $1, account_id, day, kind, item FROM kept
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT 0::bigint AS rows, (SELECT count(*) FROM added) AS added, 0::bigint AS changed, (SELECT count(*) FROM removed) AS removed
