-- Notices that differ from the log; the last row, without an account, counts those that are still on their way.
-- Epochs are those that projections/walk.py found; within one a line is reached when what was used of the allocation gets there. Sums
-- are needed at few positions only (splits), so events are added up between them, and all else is done on the splits.
-- $1 shard int, $2 position bigint, $3 first position of epochs to compare bigint, $4 settled boolean,
-- $5 positions from which thresholds count bigint[], $6 banner thresholds of each text[], $7 email thresholds of each text[],
-- $8 accounts text[] (of each epoch), $9 resources smallint[], $10 epochs int[], $11 positions bigint[],
-- $12 recorded_at timestamptz[], $13 granted text[], $14 bases text[]
WITH epochs_begun AS MATERIALIZED (
    SELECT account_id, resource, epoch, position, recorded_at, granted::numeric, base::numeric
    FROM unnest($8::text[], $9::smallint[], $10::int[], $11::bigint[], $12::timestamptz[], $13::text[], $14::text[])
         AS e (account_id, resource, epoch, position, recorded_at, granted, base)
), granted AS MATERIALIZED (
    SELECT account_id, resource, array_agg(position ORDER BY epoch) AS starts, max(position) AS last,
           array_agg(granted ORDER BY epoch) AS granted,
           array_agg(base ORDER BY epoch) AS bases
    FROM epochs_begun
    GROUP BY account_id, resource
), reversed AS MATERIALIZED (
    SELECT account_id, resource, array_agg(position ORDER BY position) AS positions
    FROM meter.events
    WHERE shard = $1 AND position <= $2 AND type = {{usage.reversed.v1}}
    GROUP BY account_id, resource
), listed AS (  -- contacts count from the first opening on; who is forgotten has none, whatever the event says
    SELECT account_id, position, type,
           CASE WHEN type IN ({{account.opened.v1}}, {{account.contacts_changed.v1}})
                THEN coalesce(json_array_length(data -> 'contacts') > 0, false) ELSE false END AS anyone,
           min(position) FILTER (WHERE type = {{account.opened.v1}}) OVER (PARTITION BY account_id) AS opened
    FROM meter.events
    WHERE shard = $1 AND position <= $2 AND type IN ({{account.opened.v1}}, {{account.contacts_changed.v1}}, {{account.forgotten.v1}})
), kept AS (  -- contacts that came before the opening win over the opening's own
    SELECT DISTINCT ON (account_id) account_id, anyone
    FROM listed
    WHERE type IN ({{account.contacts_changed.v1}}, {{account.forgotten.v1}}) AND position < opened
    ORDER BY account_id, position DESC
), reachable AS MATERIALIZED (
    SELECT l.account_id, array_agg(l.position ORDER BY l.position) AS positions,
           array_agg(CASE WHEN l.position = l.opened THEN coalesce(k.anyone, l.anyone) ELSE l.anyone END
                     ORDER BY l.position) AS anyone
    FROM listed l
    LEFT JOIN kept k USING (account_id)
    WHERE l.position = l.opened OR l.position > l.opened AND l.type IN ({{account.contacts_changed.v1}}, {{account.forgotten.v1}})
    GROUP BY l.account_id
), stored AS MATERIALIZED (
    SELECT n.account_id, r.code AS resource, n.epoch, n.channel, n.threshold, n.outcome, n.allocation, n.consumed,
           n.position, row_number() OVER same AS copy
    FROM notifier.notices n
    JOIN meter.resources r USING (resource)
    LEFT JOIN granted g ON g.account_id = n.account_id AND g.resource = r.code
    WHERE n.shard = $1 AND coalesce(g.starts[n.epoch] >= $3, true)
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
    SELECT s.*, g.starts, g.granted, g.bases, width_bucket(s.position, g.starts) AS epoch,
           coalesce(width_bucket(s.position, r.positions), 0) AS run,
           CASE WHEN $4 OR greatest(s.last, g.last) <= h.position THEN $2 ELSE coalesce(b.position, 0) END AS upto
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
    SELECT account_id, resource, epoch, position, is_event, upto, starts[epoch] AS start,
           granted[epoch] - bases[epoch] AS allocation, total - bases[epoch] AS used,
           total_at_start - bases[epoch] AS used_at_start,
           max(total - bases[epoch]) OVER (PARTITION BY account_id, resource, epoch ORDER BY run
                                   RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS used_in_earlier_runs
    FROM begun
), epochs AS (
    SELECT account_id, resource, epoch, min(start) AS start, min(allocation) AS allocation,
           min(used_at_start) AS used_at_start, max(used) FILTER (WHERE position <= upto) AS peak, max(used) AS latest_peak
    FROM used
    GROUP BY account_id, resource, epoch
), periods AS MATERIALIZED (  -- the first thresholds stand for what lies before them too
    SELECT CASE row_number() OVER (ORDER BY first) WHEN 1 THEN 0 ELSE first END AS first,
           lead(first, 1, 9223372036854775807) OVER (ORDER BY first) AS last,
           banner::smallint[] AS banner, email::smallint[] AS email
    FROM unnest($5::bigint[], $6::text[], $7::text[]) AS p (first, banner, email)
), thresholds AS MATERIALIZED (
    SELECT 'banner' AS channel, unnest(banner) AS threshold, first, last FROM periods
    UNION ALL SELECT 'email', unnest(email), first, last FROM periods
), spans AS (
    SELECT *, lead(start, 1, 9223372036854775807) OVER (PARTITION BY account_id, resource ORDER BY epoch) AS finish
    FROM epochs
), ruled AS (
    SELECT s.*, (SELECT count(*) FROM periods p WHERE p.first < s.finish AND p.last > s.start) AS periods
    FROM spans s
    WHERE s.start >= $3
), lines AS MATERIALIZED (
    -- Where thresholds changed within an epoch, a line is sure to be noticed only if it was one of them all the time.
    SELECT e.account_id, e.resource, e.epoch, t.channel, t.threshold, 1 AS copy, e.start, e.allocation, e.peak,
           e.used_at_start * 100 >= t.threshold * e.allocation AND min(t.first) <= e.start AS is_seeded,
           coalesce(e.peak * 100 >= t.threshold * e.allocation, false) AS is_due,
           count(*) = e.periods AS is_sure, e.periods > 1 AS is_mixed
    FROM ruled e
    JOIN thresholds t ON e.latest_peak * 100 >= t.threshold * e.allocation AND t.first < e.finish AND t.last > e.start
    GROUP BY e.account_id, e.resource, e.epoch, t.channel, t.threshold, e.start, e.allocation, e.peak, e.used_at_start,
             e.periods
), paired AS MATERIALIZED (
    SELECT account_id, resource, epoch, channel, threshold, l.start, l.allocation, l.peak, l.is_seeded,
           l.is_due, l.is_sure, l.is_mixed,
           s.outcome AS stored_outcome, s.allocation AS stored_allocation, s.consumed AS stored_consumed,
           s.position AS stored_position
    FROM lines l
    FULL JOIN stored s USING (account_id, resource, epoch, channel, threshold, copy)
), judged AS (
    SELECT p.*, u.used,
           CASE WHEN p.is_seeded THEN p.stored_position = p.start
                ELSE u.is_event AND u.used * 100 >= p.threshold * p.allocation
                     AND (p.is_mixed OR coalesce(u.used_in_earlier_runs * 100 < p.threshold * p.allocation, true))
                END AS is_in_place,
           CASE WHEN p.is_seeded THEN 'seeded'
                WHEN p.is_mixed THEN p.stored_outcome  -- a line that a setting adds is superseded by one noticed before
                WHEN p.stored_position IS NULL THEN NULL  -- which of the others depends on where it was noticed
                WHEN EXISTS (SELECT FROM thresholds t
                             WHERE t.channel = p.channel AND t.threshold > p.threshold
                               AND p.stored_position >= t.first AND p.stored_position < t.last
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
       OR stored_position IS NULL AND is_due AND is_sure
       OR stored_position IS NOT NULL
          AND (is_in_place IS NOT TRUE
               OR (stored_outcome, stored_allocation, stored_consumed) IS DISTINCT FROM (outcome, j.allocation, used))
    ORDER BY account_id, j.resource, epoch, channel, threshold
)
UNION ALL
SELECT NULL, 'on their way', NULL, count(*)::text FROM paired WHERE stored_position IS NULL AND NOT is_due AND is_sure
