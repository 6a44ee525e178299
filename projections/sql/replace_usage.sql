-- Put a shard's rebuilt usage by day in the place of lines that differ; how many were added, changed and removed.
-- $1 shard int
WITH rebuilt AS MATERIALIZED (
    SELECT account_id, day, resource, type, name, sum(events)::bigint AS events, sum(amount)::bigint AS amount
    FROM projections.rebuilt_usage
    WHERE shard = $1
    GROUP BY account_id, day, resource, type, name
), stored AS MATERIALIZED (
    SELECT account_id, day, resource, type, name, events, amount FROM projections.usage_days WHERE shard = $1
), removed AS (
    DELETE FROM projections.usage_days d
    USING (
        SELECT account_id, day, resource, type, name FROM stored
        EXCEPT
        SELECT account_id, day, resource, type, name FROM rebuilt
    ) AS gone
    WHERE d.account_id = gone.account_id AND d.day = gone.day AND d.resource = gone.resource AND d.type = gone.type
      AND d.name = gone.name
    RETURNING 1
), saved AS (
    INSERT INTO projections.usage_days AS d (account_id, day, resource, type, name, shard, events, amount)
    SELECT account_id, day, resource, type, name, $1, events, amount
    FROM (SELECT * FROM rebuilt EXCEPT SELECT * FROM stored) AS differing
    ON CONFLICT (account_id, day, resource, type, name) DO UPDATE
    SET shard = excluded.shard, events = excluded.events, amount = excluded.amount
    RETURNING xmax = 0 AS added
)
SELECT (SELECT count(*) FROM rebuilt) AS rows,
       (SELECT count(*) FROM saved WHERE added) AS added, (SELECT count(*) FROM saved WHERE NOT added) AS changed,
       (SELECT count(*) FROM removed) AS removed
