-- Add the differences of a shard's usage by day to the stored lines; how many there are then, and how many were added,
-- changed and removed.
-- $1 shard int, $2 stored bigint
WITH differing AS MATERIALIZED (
    SELECT account_id, day, resource, type, name, projections.total(events) AS events,
           projections.total(amount) AS amount
    FROM projections.rebuilt_usage
    WHERE shard = $1
    GROUP BY account_id, day, resource, type, name
    HAVING projections.total(events) <> 0 OR projections.total(amount) <> 0
), removed AS (
    DELETE FROM projections.usage_days d
    USING differing n
    WHERE d.shard = $1 AND d.account_id = n.account_id AND d.day = n.day AND d.resource = n.resource
      AND d.type = n.type AND d.name = n.name AND d.events + n.events = 0
    RETURNING d.account_id, d.day, d.resource, d.type, d.name
), saved AS (
    INSERT INTO projections.usage_days AS d (account_id, day, resource, type, name, shard, events, amount)
    SELECT account_id, day, resource, type, name, $1, n.events, n.amount
    FROM differing n
    LEFT JOIN removed r USING (account_id, day, resource, type, name)
    WHERE r.account_id IS NULL
    ORDER BY account_id, day, resource, type, name
    ON CONFLICT (account_id, day, resource, type, name) DO UPDATE
    SET shard = excluded.shard,
        events = CASE WHEN d.shard = $1 THEN d.events + excluded.events ELSE excluded.events END,
        amount = CASE WHEN d.shard = $1 THEN d.amount + excluded.amount ELSE excluded.amount END
    -- A line under a wrong shard goes to the shard whose log has it, in whatever order the two are exchanged.
    WHERE d.shard = $1 OR excluded.events > 0
    RETURNING xmax = 0 AS added
)
SELECT $2::bigint + (SELECT count(*) FROM saved WHERE added) - (SELECT count(*) FROM removed) AS rows,
       (SELECT count(*) FROM saved WHERE added) AS added, (SELECT count(*) FROM saved WHERE NOT added) AS changed,
       (SELECT count(*) FROM removed) AS removed
