-- Lock the cursors to fold next: every shard with new events while they fit into one transaction, else as many of them
-- as do on average, and at least one. What is from before a generation is told as of the one it was stored in, and apart: readers
-- who know newer states of that time would else take an older one for news; `more`: other events wait; `others`: there
-- are some that are not usage.
-- $1 projection text, $2 most events numeric, $3 shards to leave alone int[], $4 shards to choose from int[] or null
WITH waiting AS MATERIALIZED (
    SELECT count(*) AS shards,
           greatest(1, floor(count(*) * least(1, $2 / sum(t.next_position - 1 - d.position))))::bigint AS taken
    FROM projections.cursors d
    JOIN meter.shards t ON t.shard = d.shard
    WHERE d.projection = $1 /*citus AND d.shard = ($4::int[])[1] */ AND t.next_position - 1 > d.position AND d.shard <> ALL($3::int[])
)
SELECT c.shard, c.position AS after, least(s.next_position - 1, g.upto) AS head,
       coalesce((SELECT max(g.generation) FROM meter.generations g
                 WHERE g.shard = c.shard /*citus AND g.shard = ($4::int[])[1] */ AND g.from_position - 1 <= c.position), 1) AS generation,
       coalesce(s.next_position - 1 > g.upto, false) OR (SELECT w.shards > w.taken FROM waiting w) AS more,
       EXISTS (SELECT FROM meter.events l
               WHERE l.shard = c.shard /*citus AND l.shard = ($4::int[])[1] */ AND l.position > c.position AND l.position < s.next_position
                 AND l.type > {{last_usage}}) AS others
FROM projections.cursors c
JOIN meter.shards s ON s.shard = c.shard
CROSS JOIN LATERAL (
    SELECT min(g.from_position) - 1 AS upto FROM meter.generations g
    WHERE g.shard = c.shard /*citus AND g.shard = ($4::int[])[1] */ AND g.from_position - 1 > c.position
) AS g
WHERE c.projection = $1 /*citus AND c.shard = ($4::int[])[1] */ AND s.next_position - 1 > c.position
  AND c.shard <> ALL($3::int[]) AND ($4::int[] IS NULL OR c.shard = ANY($4::int[]))
ORDER BY random()
LIMIT (SELECT w.taken FROM waiting w)
FOR UPDATE OF c SKIP LOCKED
