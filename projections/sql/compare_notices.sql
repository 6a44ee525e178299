-- Notices that differ from the log; the last row, without an account, counts those that are still on their way.
-- Epochs are those that projections/walk.py found; within one a line is reached when what was used of the allocation gets there. Sums
-- are needed at few positions only (splits), so events are added up between them, and all else is done on the splits.
-- $1 shard int, $2 position bigint, $3 banner thresholds smallint[], $4 email thresholds smallint[],
-- $5 since timestamptz, $6 settled boolean,
-- $7 accounts text[] (of each epoch), $8 resources smallint[], $9 epochs int[], $10 positions bigint[],
-- $11 recorded_at timestamptz[], $12 granted bigint[], $13 bases bigint[]
WITH epochs_begun AS MATERIALIZED (
    SELECT *
    FROM unnest($7::text[], $8::smallint[], $9::int[], $10::bigint[], $11::timestamptz[], $12::bigint[], $13::bigint[])
         AS e (account_id, resource, epoch, position, recorded_at, granted, base)
), granted AS MATERIALIZED (
    SELECT account_id, resource, array_agg(position ORDER BY epoch) AS starts, max(position) AS last,
           array_agg(recorded_at ORDER BY epoch) AS times, array_agg(granted ORDER BY epoch) AS granted,
           array_agg(base ORDER BY epoch) AS bases
    FROM epochs_begun
    GROUP BY account_id, resource
), reversed AS MATERIALIZED (
    SELECT account_id, resource, array_agg(position ORDER BY position) AS positions
    FROM meter.events
    WHERE shard = $1 AND position <= $2 AND type = {{usage.reversed.v1}}
    GROUP BY account_id, resource
), listed AS (  -- contacts count from the first opening on
    SELECT account_id, position, type, json_array_length(data -> 'contacts') > 0 AS anyone,
           min(position) FILTER (WHERE type = {{account.opened.v1}}) OVER (PARTITION BY account_id) AS opened
    FROM meter.events
    WHERE shard = $1 AND position <= $2 AND type IN ({{account.opened.v1}}, {{account.contacts_changed.v1}})
), kept AS (  -- contacts that came before the opening win over the opening's own
    SELECT DISTINCT ON (account_id) account_id, anyone
    FROM listed
    WHERE type = {{account.contacts_changed.v1}} AND position < opened
    ORDER BY account_id, position DESC
), reachable AS MATERIALIZED (
    SELECT l.account_id, array_agg(l.position ORDER BY l.position) AS positions,
           array_agg(CASE WHEN l.position = l.opened THEN coalesce(k.anyone, l.anyone) ELSE l.anyone END
                     ORDER BY l.position) AS anyone
    FROM listed l
    LEFT JOIN kept k USING (account_id)
    WHERE l.position = l.opened OR l.position > l.opened AND l.type = {{account.contacts_changed.v1}}
    GROUP BY l.account_id
), stored AS MATERIALIZED (
    SELECT n.account_id, r.code AS resource, n.epoch, n.channel, n.threshold, n.outcome, n.allocation, n.consumed,
           n.position, row_number() OVER same AS copy
    FROM notifier.notices n
    JOIN meter.resources r USING (resource)
    LEFT JOIN granted g ON g.account_id = n.account_id AND g.resource = r.code
    WHERE n.shard = $1 AND coalesce(g.times[n.epoch] >= $5, true)
    WINDOW same AS (
        PARTITION BY n.account_id, n.resource, n.epoch, n.channel, n.threshold ORDER BY n.created_at, n.notice_id)
), seen AS MATERIALIZED (
    SELECT b.account_id, r.code AS resource, b.position
    FROM notifier.balances b
    JOIN meter.resources r USING (resource)
    WHERE b.shard = $1
), heard AS MATERIALIZED (  -- messages of a shard come in the order of positions: all up to here were read
    SELECT greatest((SELECT max(position) FROM notifier.balances WHERE shard = $1),
                    (SELECT max(position) FROM notifier.accounts WHERE shard = $1)) AS position
), splits AS MATERIALIZED (
    SELECT account_id, resource, array_agg(DISTINCT position ORDER BY position) AS positions
    FROM (
        SELECT account_id, resource, position FROM epochs_begun
        UNION ALL SELECT account_id, resource, unnest(positions) - 1 FROM reversed  -- the peak before it
        UNION ALL SELECT account_id, resource, unnest(positions) FROM reversed
        UNION ALL SELECT account_id, resource, position FROM stored
        UNION ALL SELECT account_id, resource, position FROM seen
        UNION ALL SELECT account_id, resource, $2 FROM granted
    ) AS wanted
    WHERE position BETWEEN 1 AND $2
    GROUP BY account_id, resource
), moved AS MATERIALIZED (  -- piece 0 ends at the first cut
    SELECT e.account_id, e.resource, width_bucket(e.position - 1, c.positions) AS piece, max(e.position) AS last,
           sum(CASE e.type WHEN {{usage.reversed.v1}} THEN -e.amount ELSE e.amount END) AS amount
    FROM meter.events e
    JOIN splits c ON c.account_id = e.account_id AND c.resource = e.resource
    WHERE e.shard = $1 AND e.position <= $2 AND e.type IN ({{usage}}, {{usage.reversed.v1}})
    GROUP BY 1, 2, 3
), summed AS (
    SELECT c.account_id, c.resource, p.position, coalesce(m.last = p.position, false) AS is_event,
           coalesce(sum(m.amount) OVER (PARTITION BY c.account_id, c.resource ORDER BY p.number), 0) AS total,
           max(m.last) OVER (PARTITION BY c.account_id, c.resource) AS last
    FROM splits c
    CROSS JOIN unnest(c.positions) WITH ORDINALITY AS p (position, number)
    LEFT JOIN moved m ON m.account_id = c.account_id AND m.resource = c.resource AND m.piece = p.number - 1
), placed AS (  -- upto: as far as the notifier must have come with this balance
    SELECT s.*, g.starts, g.times, g.granted, g.bases, width_bucket(s.position, g.starts) AS epoch,
           coalesce(width_bucket(s.position, r.positions), 0) AS run,
           CASE WHEN $6 OR greatest(s.last, g.last) <= h.position THEN $2 ELSE coalesce(b.position, 0) END AS upto
    FROM summed s
    JOIN granted g ON g.account_id = s.account_id AND g.resource = s.resource
    LEFT JOIN reversed r ON r.account_id = s.account_id AND r.resource = s.resource
    LEFT JOIN seen b ON b.account_id = s.account_id AND b.resource = s.resource
    CROSS JOIN heard h
), begun AS (
    SELECT *, first_value(total) OVER (PARTITION BY account_id, resource, epoch ORDER BY position) AS total_at_start
    FROM placed
    WHERE epoch > 0
), used AS MATERIALIZED (
    SELECT account_id, resource, epoch, position, is_event, upto, starts[epoch] AS start, times[epoch] AS started,
           granted[epoch] - bases[epoch] AS allocation, total - bases[epoch] AS used,
           total_at_start - bases[epoch] AS used_at_start,
           max(total - bases[epoch]) OVER (PARTITION BY account_id, resource, epoch ORDER BY run
                                   RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS used_in_earlier_runs
    FROM begun
), epochs AS (
    SELECT account_id, resource, epoch, min(start) AS start, min(started) AS started, min(allocation) AS allocation,
           min(used_at_start) AS used_at_start, max(used) FILTER (WHERE position <= upto) AS peak, max(used) AS latest_peak
    FROM used
    GROUP BY account_id, resource, epoch
), thresholds AS (
    SELECT 'banner' AS channel, unnest($3::smallint[]) AS threshold
    UNION ALL SELECT 'email', unnest($4::smallint[])
), lines AS MATERIALIZED (
    SELECT e.account_id, e.resource, e.epoch, t.channel, t.threshold, 1 AS copy, e.start, e.allocation, e.peak,
           e.used_at_start * 100 >= t.threshold * e.allocation AS is_seeded,
           coalesce(e.peak * 100 >= t.threshold * e.allocation, false) AS is_due
    FROM epochs e
    JOIN thresholds t ON e.latest_peak * 100 >= t.threshold * e.allocation
    WHERE e.started >= $5
), paired AS MATERIALIZED (
    SELECT account_id, resource, epoch, channel, threshold, l.start, l.allocation, l.peak, l.is_seeded, l.is_due,
           s.outcome AS stored_outcome, s.allocation AS stored_allocation, s.consumed AS stored_consumed,
           s.position AS stored_position
    FROM lines l
    FULL JOIN stored s USING (account_id, resource, epoch, channel, threshold, copy)
), judged AS (
    SELECT p.*, u.used,
           CASE WHEN p.is_seeded THEN p.stored_position = p.start
                ELSE u.is_event AND u.used * 100 >= p.threshold * p.allocation
                     AND coalesce(u.used_in_earlier_runs * 100 < p.threshold * p.allocation, true) END AS is_in_place,
           CASE WHEN p.is_seeded THEN 'seeded'
                WHEN p.stored_position IS NULL THEN NULL  -- which of the others depends on where it was noticed
                WHEN EXISTS (SELECT FROM thresholds t
                             WHERE t.channel = p.channel AND t.threshold > p.threshold
                               AND u.used * 100 >= t.threshold * p.allocation) THEN 'superseded'
                WHEN p.channel = 'email' AND c.anyone[width_bucket(p.stored_position, c.positions)] IS NOT TRUE
                    THEN 'no_contact'
                ELSE 'delivered' END AS outcome
    FROM paired p
    LEFT JOIN used u ON u.account_id = p.account_id AND u.resource = p.resource AND u.epoch = p.epoch
                    AND u.position = p.stored_position
    LEFT JOIN reachable c ON c.account_id = p.account_id
)
(
    SELECT account_id, concat_ws(' ', r.resource, 'epoch', epoch, channel, threshold, '%') AS what,
           CASE WHEN stored_position IS NOT NULL THEN jsonb_build_object(
               'outcome', stored_outcome, 'allocation', stored_allocation, 'consumed', stored_consumed,
               'position', stored_position)::text END AS stored,
           CASE WHEN start IS NOT NULL THEN jsonb_build_object(
               'outcome', outcome, 'allocation', j.allocation, 'consumed', used, 'peak', peak, 'epoch_from', start,
               'position', CASE WHEN is_seeded THEN start WHEN is_in_place THEN stored_position END)::text END AS log
    FROM judged j
    JOIN meter.resources r ON r.code = j.resource
    WHERE start IS NULL
       OR stored_position IS NULL AND is_due
       OR stored_position IS NOT NULL
          AND (is_in_place IS NOT TRUE
               OR (stored_outcome, stored_allocation, stored_consumed) IS DISTINCT FROM (outcome, j.allocation, used))
    ORDER BY account_id, j.resource, epoch, channel, threshold
)
UNION ALL
SELECT NULL, 'on their way', NULL, count(*)::text FROM paired WHERE stored_position IS NULL AND NOT is_due
