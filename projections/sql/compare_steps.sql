-- Published states of balances (exhaustion_steps) that differ from the log: those that are kept must be what the log says as of
-- their position; each epoch that began behind the first state of the shard must have its first one, and the newest state of a balance
-- its present percent. Where within an epoch the others lie depends on how fast the fold went.
-- $1 shard int, $2 position bigint, $3 accounts text[] (of each epoch), $4 resources smallint[], $5 epochs int[],
-- $6 positions bigint[], $7 recorded_at timestamptz[], $8 granted text[], $9 bases text[]
WITH epochs AS MATERIALIZED (
    SELECT account_id COLLATE "C" AS account_id, resource, epoch, position, granted::numeric - base::numeric AS allocation, base::numeric,
           lead(position, 1, 9223372036854775807) OVER (PARTITION BY account_id, resource ORDER BY epoch) AS finish
    FROM unnest($3::text[], $4::smallint[], $5::int[], $6::bigint[], $7::timestamptz[], $8::text[], $9::text[])
         AS e (account_id, resource, epoch, position, recorded_at, granted, base)
), stored AS MATERIALIZED (
    SELECT account_id, resource, position, epoch, allocation, consumed, at FROM projections.exhaustion_steps
    WHERE shard = $1
), since AS MATERIALIZED (
    SELECT min(position) AS position FROM stored
), splits AS MATERIALIZED (
    SELECT account_id, resource, array_agg(DISTINCT position ORDER BY position) AS positions
    FROM (
        SELECT account_id, resource, position FROM stored
        UNION ALL SELECT account_id, resource, position FROM epochs
        UNION ALL SELECT account_id, resource, $2 FROM epochs
    ) AS wanted
    GROUP BY account_id, resource
), moved AS MATERIALIZED (  -- piece 0 ends at the first cut
    SELECT e.account_id, e.resource, width_bucket(e.position - 1, c.positions) AS piece,
           sum(CASE e.type WHEN {{usage.reversed.v1}} THEN -e.amount ELSE e.amount END) AS amount
    FROM meter.events e
    JOIN splits c ON c.account_id = e.account_id AND c.resource = e.resource
    WHERE e.shard = $1 AND e.position <= $2 AND e.type IN ({{usage}}, {{usage.reversed.v1}})
    GROUP BY 1, 2, 3
), summed AS (
    SELECT c.account_id, c.resource, p.position,
           coalesce(sum(m.amount) OVER (PARTITION BY c.account_id, c.resource ORDER BY p.number), 0) AS total
    FROM splits c
    CROSS JOIN unnest(c.positions) WITH ORDINALITY AS p (position, number)
    LEFT JOIN moved m ON m.account_id = c.account_id AND m.resource = c.resource AND m.piece = p.number - 1
), expected AS MATERIALIZED (
    SELECT s.account_id, s.resource, s.position, e.epoch, e.position AS start, e.allocation, s.total - e.base AS consumed
    FROM summed s
    JOIN epochs e ON e.account_id = s.account_id AND e.resource = s.resource AND s.position >= e.position AND s.position < e.finish
), newest AS (
    SELECT DISTINCT ON (account_id, resource) account_id, resource, position, epoch, allocation, consumed
    FROM stored
    ORDER BY account_id, resource, position DESC
), placed AS MATERIALIZED (
    SELECT s.*, l.account_id AS of_account, l.resource AS of_resource, l.recorded_at
    FROM stored s
    LEFT JOIN meter.events l ON l.shard = $1 AND l.position = s.position
), late AS MATERIALIZED (
    -- Later than its event only where a clock went back: then it is the time of an event before it. They are looked for in one pass
    -- over the log, and not one by one: that would be one pass for each.
    SELECT DISTINCT p.account_id, p.resource, p.position
    FROM placed p
    JOIN meter.events b ON b.account_id = p.account_id AND b.recorded_at = p.at AND b.position < p.position
    WHERE p.at > p.recorded_at AND b.shard = $1 AND b.position <= $2
), judged AS (
    SELECT s.account_id, s.resource, s.position, to_jsonb(s)::text AS stored, to_jsonb(e)::text AS log
    FROM stored s
    JOIN placed p USING (account_id, resource, position)
    LEFT JOIN expected e USING (account_id, resource, position)
    LEFT JOIN late t USING (account_id, resource, position)
    WHERE (s.epoch, s.allocation, s.consumed) IS DISTINCT FROM (e.epoch, e.allocation, e.consumed)
       OR p.of_account IS DISTINCT FROM s.account_id OR p.of_resource <> s.resource OR s.position > $2 OR s.at < p.recorded_at
       OR s.at > p.recorded_at AND t.account_id IS NULL
    UNION ALL
    SELECT e.account_id, e.resource, e.position, NULL, to_jsonb(e)::text
    FROM expected e
    CROSS JOIN since f
    WHERE e.position = e.start AND e.start > f.position
      AND NOT EXISTS (
          SELECT FROM stored s WHERE s.account_id = e.account_id AND s.resource = e.resource AND s.position = e.position)
    UNION ALL
    SELECT n.account_id, n.resource, $2, to_jsonb(n)::text, to_jsonb(e)::text
    FROM newest n
    JOIN expected e ON e.account_id = n.account_id AND e.resource = n.resource AND e.position = $2
    WHERE n.epoch <> e.epoch
       OR floor(n.consumed * 100 / nullif(n.allocation, 0)) IS DISTINCT FROM floor(e.consumed * 100 / nullif(e.allocation, 0))
)
SELECT account_id, concat_ws(' ', CASE resource WHEN {{model_credits}} THEN 'model_credits' ELSE 'tool_runs' END, 'position', position) AS what,
       stored, log
FROM judged
ORDER BY 1, resource, position
