-- Add the differences of a shard's usage by day to the stored lines; how many there are then, and how many were added,
-- changed and removed.
-- $1 shard int
WITH differing AS MATERIALIZED (
    SELECT n.account_id, n.day, n.resource, n.type, n.name, n.events, n.amount,
           -- What differs from the snapshot that the rebuild read, the fold has made newer since.
           CASE WHEN d.changed_at IS DISTINCT FROM n.stored_changed_at THEN greatest(d.changed_at, n.changed_at)
                ELSE n.changed_at END AS changed_at,
           d.account_id IS NOT NULL AND d.events + n.events = 0 AS gone
    FROM (
        SELECT account_id, day, resource, type, name, projections.total(events) AS events,
               projections.total(amount) AS amount, max(changed_at) AS changed_at,
               max(stored_changed_at) AS stored_changed_at
        FROM projections.rebuilt_usage
        WHERE shard = $1
        GROUP BY account_id, day, resource, type, name
        HAVING projections.total(events) <> 0 OR projections.total(amount) <> 0
            OR max(changed_at) IS DISTINCT FROM max(stored_changed_at)
    ) AS n
    -- Fenced, so that each is found by the primary key, however few of them the planner expects.
    LEFT JOIN LATERAL (
        SELECT * FROM projections.usage_days u
        WHERE u.account_id = n.account_id AND u.day = n.day AND u.resource = n.resource AND u.type = n.type
          AND u.name = n.name AND u.shard = $1
        OFFSET 0
    ) AS d ON true
), removed AS (
    DELETE FROM projections.usage_days d
    USING differing n
    WHERE n.gone AND d.shard = $1 AND d.account_id = n.account_id AND d.day = n.day AND d.resource = n.resource
      AND d.type = n.type AND d.name = n.name
    RETURNING 1
), saved AS (
    INSERT INTO projections.usage_days AS d
        (account_id, day, resource, type, name, shard, events, amount, changed_at)
    SELECT account_id, day, resource, type, name, $1, events, amount, changed_at
    FROM differing
    WHERE NOT gone
    ORDER BY account_id, day, resource, type, name
    ON CONFLICT (account_id, day, resource, type, name) DO UPDATE
    SET shard = excluded.shard,
        events = CASE WHEN d.shard = $1 THEN d.events + excluded.events ELSE excluded.events END,
        amount = CASE WHEN d.shard = $1 THEN d.amount + excluded.amount ELSE excluded.amount END,
        changed_at = excluded.changed_at
    -- A line under a wrong shard goes to the shard whose log has it, in whatever order the two are exchanged.
    WHERE d.shard = $1 OR excluded.events > 0
    RETURNING xmax = 0 AS added
)
SELECT (SELECT count(*) FROM projections.usage_days WHERE shard = $1)
       + (SELECT count(*) FROM saved WHERE added) - (SELECT count(*) FROM removed) AS rows,
       (SELECT count(*) FROM saved WHERE added) AS added, (SELECT count(*) FROM saved WHERE NOT added) AS changed,
       (SELECT count(*) FROM removed) AS removed
