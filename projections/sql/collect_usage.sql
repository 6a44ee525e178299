-- Collect a range's usage by day for a rebuild, on demand less what is stored: then the differences are left.
-- Returns per account, resource and run what was used.
-- $1 shard int, $2 after bigint, $3 upto bigint, $4 less_stored boolean,
-- $5 accounts text[], $6 resources smallint[], $7 positions bigint[] (of what is not usage)
WITH splits AS MATERIALIZED (
    SELECT account_id, resource, array_agg(position ORDER BY position) AS positions
    FROM unnest($5::text[], $6::smallint[], $7::bigint[]) AS c (account_id, resource, position)
    GROUP BY account_id, resource
), lines AS (
    -- Midnights, and dates only of what is kept: a division per event in place of a calendar.
    SELECT e.account_id COLLATE "C" AS account_id,
           date_bin('1 day', e.occurred_at AT TIME ZONE interval '0', timestamp '2000-01-01') AS day, e.resource, e.type,
           e.name COLLATE "C" AS name,
           CASE WHEN e.type <= {{last_usage}} THEN coalesce(width_bucket(e.position, c.positions), 0)
                ELSE -1 END AS run,
           1::bigint AS events, e.amount, e.position, e.recorded_at, NULL::timestamptz AS stored_changed_at
    FROM meter.events e
    LEFT JOIN splits c ON c.account_id = e.account_id AND c.resource = e.resource
    WHERE e.shard = $1 AND e.position > $2 AND e.position <= $3
      AND (e.type BETWEEN {{first_usage}} AND {{last_usage}} OR e.type = {{usage.reversed.v1}})
    UNION ALL
    SELECT account_id, day::timestamp, resource, type, name, NULL, -events, -amount, NULL, NULL, changed_at
    FROM projections.usage_days
    WHERE shard = $1 AND $4
), usage AS MATERIALIZED (
    -- Both groupings in one pass: by day, and by run. Lines that are stored as they must be are not written down.
    SELECT account_id, day, resource, type, name, run, grouping(day) = 1 AS by_run,
           projections.total(events) AS events, projections.total(amount) AS amount, max(position) AS position,
           max(recorded_at) AS as_of, max(stored_changed_at) AS stored_changed_at
    FROM lines
    GROUP BY GROUPING SETS ((account_id, day, resource, type, name), (account_id, resource, run))
    HAVING grouping(day) = 1 OR projections.total(events) <> 0 OR projections.total(amount) <> 0
        OR $4 AND max(recorded_at) IS DISTINCT FROM max(stored_changed_at)
), collected AS (
    INSERT INTO projections.rebuilt_usage
        (account_id, day, resource, type, name, shard, events, amount, changed_at, stored_changed_at)
    SELECT account_id, day::date, resource, type, name, $1, events, amount, as_of, stored_changed_at
    FROM usage
    WHERE NOT by_run
)
SELECT account_id, resource, events, amount, position, as_of FROM usage WHERE by_run AND run >= 0
