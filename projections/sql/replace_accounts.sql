-- Replace a shard's accounts that differ with the rebuilt ones. Returns how many rows were added, changed and removed.
-- $1 shard int
WITH removed AS (
    DELETE FROM projections.account_states s
    -- NOT IN looks each up in a hash table. NOT EXISTS compares each with each as soon as statistics of the shadow table
    -- are from before the shard was in it.
    WHERE s.shard = $1 AND s.account_id NOT IN (
        SELECT account_id FROM projections.rebuilt_accounts WHERE shard = $1)
    RETURNING 1
), saved AS (
    INSERT INTO projections.account_states AS t
        (account_id, shard, plan, display_name, contacts, opened_at, position, as_of, time_zone, closed,
         contact_ids, forgotten)
    SELECT account_id, shard, plan, display_name, contacts, opened_at, position, as_of, time_zone, closed,
           contact_ids, forgotten
    FROM (
        SELECT * FROM projections.rebuilt_accounts WHERE shard = $1
        EXCEPT
        SELECT * FROM projections.account_states WHERE shard = $1
    ) AS differing
    ON CONFLICT (account_id /*citus , shard */) DO UPDATE
    SET
        /*citus -- */ shard = excluded.shard,
        plan = excluded.plan, display_name = excluded.display_name,
        contacts = excluded.contacts, opened_at = excluded.opened_at, position = excluded.position,
        as_of = excluded.as_of, time_zone = excluded.time_zone, closed = excluded.closed, contact_ids = excluded.contact_ids,
        forgotten = excluded.forgotten
    RETURNING xmax = 0 AS added
)
SELECT (SELECT count(*) FROM projections.rebuilt_accounts WHERE shard = $1) AS rows,
       (SELECT count(*) FROM saved WHERE added) AS added, (SELECT count(*) FROM saved WHERE NOT added) AS changed,
       (SELECT count(*) FROM removed) AS removed
