-- Replace a shard's names of days that differ from those that a rebuild collected. They are no lines of usage: rows is 0. And names of a
-- day that had none noted are not told as added: the fold notes a day when it has many lines, or finds them in its lines.
-- $1 shard int
WITH noted AS MATERIALIZED (
    SELECT DISTINCT account_id, day FROM projections.day_names WHERE shard = $1
), removed AS (
    DELETE FROM projections.day_names d
    WHERE d.shard = $1
      AND NOT EXISTS (
          SELECT FROM projections.rebuilt_names k
          WHERE k.shard = $1 AND k.account_id = d.account_id AND k.day = d.day AND k.kind = d.kind AND k.item = d.item)
    RETURNING 1
), added AS (
    INSERT INTO projections.day_names (shard, account_id, day, kind, item)
    SELECT shard, account_id, day, kind, item FROM projections.rebuilt_names WHERE shard = $1
    ON CONFLICT DO NOTHING
    RETURNING account_id, day
)
SELECT 0::bigint AS rows, (SELECT count(*) FROM added a JOIN noted n USING (account_id, day)) AS added, 0::bigint AS changed,
       (SELECT count(*) FROM removed) AS removed
