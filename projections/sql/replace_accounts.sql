-- Put a shard's rebuilt accounts in the place of those that differ; how many rows were added, changed and removed.
-- $1 shard int
WITH removed AS (
    DELETE FROM projections.account_states s
    WHERE s.shard = $1 AND NOT EXISTS (
        SELECT FROM projections.rebuilt_accounts r WHERE r.shard = $1 AND r.account_id = s.account_id)
    RETURNING 1
), saved AS (
    INSERT INTO projections.account_states AS t
        (account_id, shard, plan, display_name, contacts, opened_at, position, as_of)
    SELECT account_id, shard, plan, display_name, contacts, opened_at, position, as_of
    FROM (
        SELECT * FROM projections.rebuilt_accounts WHERE shard = $1
        EXCEPT
        SELECT * FROM projections.account_states WHERE shard = $1
    ) AS differing
    ON CONFLICT (account_id) DO UPDATE
    SET shard = excluded.shard, plan = excluded.plan, display_name = excluded.display_name,
        contacts = excluded.contacts, opened_at = excluded.opened_at, position = excluded.position,
        as_of = excluded.as_of
    RETURNING xmax = 0 AS added
)
SELECT (SELECT count(*) FROM projections.rebuilt_accounts WHERE shard = $1) AS rows,
       (SELECT count(*) FROM saved WHERE added) AS added, (SELECT count(*) FROM saved WHERE NOT added) AS changed,
       (SELECT count(*) FROM removed) AS removed
