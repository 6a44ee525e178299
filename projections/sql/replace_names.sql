-- Replace a shard's names of days that differ from those that a rebuild collected. They are no lines of usage: rows is 0.
-- $1 shard int
WITH removed AS (
    DELETE FROM projections.day_names d
    WHERE d.shard = $1
      AND NOT EXISTS (
          SELECT FROM projections.rebuilt_names r
          WHERE r.shard = $1 AND r.account_id = d.account_id AND r.day = d.day AND r.kind = d.kind AND r.item = d.item)
    RETURNING 1
), added AS (
    INSERT INTO projections.day_names (shard, account_id, day, kind, item)
    SELECT r.shard, r.account_id, r.day, r.kind, r.item FROM projections.rebuilt_names r WHERE r.shard = $1
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT 0::bigint AS rows, (SELECT count(*) FROM added) AS added, 0::bigint AS changed, (SELECT count(*) FROM removed) AS removed
