-- Replace the zones of a shard that differ from those of its accounts. Returns how many rows there are then, and how many were
-- added, changed and removed.
-- $1 shard int
WITH expected AS MATERIALIZED (
    SELECT account_id, time_zone FROM projections.account_states
    WHERE shard = $1 AND projections.is_time_zone(time_zone)
), removed AS (
    DELETE FROM projections.usage_zones z
    WHERE z.shard = $1 AND NOT EXISTS (SELECT FROM expected e WHERE e.account_id = z.account_id)
    RETURNING 1
), saved AS (
    INSERT INTO projections.usage_zones AS t (shard, account_id, time_zone)
    SELECT $1, e.account_id, e.time_zone
    FROM expected e
    LEFT JOIN projections.usage_zones z ON z.shard = $1 AND z.account_id = e.account_id
    WHERE z.time_zone IS DISTINCT FROM e.time_zone
    ON CONFLICT (shard, account_id) DO UPDATE SET time_zone = excluded.time_zone
    RETURNING xmax = 0 AS added
)
SELECT (SELECT count(*) FROM expected) AS rows, (SELECT count(*) FROM saved WHERE added) AS added,
       (SELECT count(*) FROM saved WHERE NOT added) AS changed, (SELECT count(*) FROM removed) AS removed
