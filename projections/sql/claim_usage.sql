-- Lock the cursors of usage of these shards that have something to fold, except those that another worker has.
-- The transaction finds all else by its keys. Of tables that were empty when they were last looked at, a plan would read all that the
-- same statement writes, for each line: 48,000 events took five seconds.
-- $1 projection text, $2 projection that it follows text, $3 shards int[] (where tables are distributed, one)
SELECT c.shard, c.position AS after, b.position AS head, set_config('enable_seqscan', 'off', true)
FROM projections.cursors c
JOIN projections.cursors b ON b.projection = $2 AND b.shard = c.shard
WHERE c.projection = $1 AND b.position > c.position AND c.shard = ANY ($3::int[]) /*citus AND c.shard = $3[1] */
FOR UPDATE OF c SKIP LOCKED
