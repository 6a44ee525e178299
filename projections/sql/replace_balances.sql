-- Replace a shard's balances that differ with the rebuilt ones. Returns how many rows were added, changed and removed.
-- $1 shard int
WITH removed AS (
    DELETE FROM projections.balance_states s
    -- NOT IN looks each up in a hash table. NOT EXISTS compares each with each as soon as statistics of the shadow table
    -- are from before the shard was in it.
    WHERE s.shard = $1 AND (s.account_id, s.resource) NOT IN (
        SELECT account_id, resource FROM projections.rebuilt_balances WHERE shard = $1)
    RETURNING 1
), saved AS (
    INSERT INTO projections.balance_states AS t
        (account_id, resource, shard, granted, consumed, base, epoch, boundaries, position, as_of, opened, closed,
         free_only)
    SELECT r.account_id, r.resource, r.shard, r.granted, r.consumed, r.base, r.epoch, r.boundaries, r.position, r.as_of,
           r.opened, r.closed, r.free_only
    FROM projections.rebuilt_balances r
    LEFT JOIN projections.balance_states s ON s.account_id = r.account_id AND s.resource = r.resource /*citus AND s.shard = r.shard */
    WHERE r.shard = $1
      AND (s.account_id IS NULL
           OR (s.shard, s.granted, s.consumed, s.base, s.epoch, s.boundaries, s.position, s.as_of, s.opened, s.closed,
               s.free_only)
              IS DISTINCT FROM (r.shard, r.granted, r.consumed, r.base, r.epoch, r.boundaries, r.position, r.as_of,
                                r.opened, r.closed, r.free_only))
    ON CONFLICT (account_id, resource /*citus , shard */) DO UPDATE
    SET
        /*citus -- */ shard = excluded.shard,
        granted = excluded.granted, consumed = excluded.consumed, base = excluded.base,
        epoch = excluded.epoch, boundaries = excluded.boundaries, position = excluded.position, as_of = excluded.as_of,
        opened = excluded.opened, closed = excluded.closed, free_only = excluded.free_only
    RETURNING xmax = 0 AS added
)
SELECT (SELECT count(*) FROM projections.rebuilt_balances WHERE shard = $1) AS rows,
       (SELECT count(*) FROM saved WHERE added) AS added, (SELECT count(*) FROM saved WHERE NOT added) AS changed,
       (SELECT count(*) FROM removed) AS removed
