-- Reversals whose link is not the one that follows from the events: in batches of version 4 and later each has one, of the only
-- usage of its account that stands before it under the id and source it names, and never more than that usage was.
-- $1 shard int, $2 last position bigint
WITH named AS MATERIALIZED (
    SELECT e.position, e.account_id, e.resource, e.amount, lower(e.data ->> 'reverses') AS lower_id,
           e.data ->> 'reverses' AS id, e.data ->> 'reverses_source' AS source
    FROM meter.events e
    WHERE e.shard = $1 AND e.position <= $2 AND e.type = {{usage.reversed.v1}}
      -- Of accounts that moved the first batches are those of the shard that they were in first.
      AND e.position >= (SELECT min(b.first_position) FROM meter.batches b
                         WHERE b.shard = coalesce((SELECT m.origin FROM meter.moved m WHERE m.shard = $1
                                                   ORDER BY m.upto, m.origin LIMIT 1), $1)
                           AND b.chain_version >= 4)
), expected AS (
    SELECT n.position, n.amount, n.resource, count(f.position) AS fitting, min(f.position) AS reverses,
           min(f.resource) AS its_resource
    FROM named n
    CROSS JOIN LATERAL (
        SELECT CASE WHEN n.id ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN n.id::uuid END AS uuid
    ) AS u
    LEFT JOIN LATERAL (
        SELECT k.position, k.resource
        FROM (
            (SELECT * FROM meter.events k
             WHERE k.shard = $1 AND k.event_key IS NOT NULL AND k.event_key >= uuid_send(u.uuid)
               AND k.event_key <= uuid_send(u.uuid) || '\xffffffffffffffffffffffffffffffff'::bytea OFFSET 0)
            UNION ALL
            (SELECT * FROM meter.events k
             WHERE k.shard = $1 AND k.id IS NOT NULL AND k.account_id = n.account_id
               AND k.id = CASE WHEN u.uuid IS NULL THEN n.id ELSE n.lower_id END OFFSET 0)
            UNION ALL
            (SELECT * FROM meter.events k
             WHERE k.shard = $1 AND k.event_key IS NULL AND k.event_id = u.uuid OFFSET 0)
        ) AS k
        WHERE k.account_id = n.account_id AND k.type IN ({{usage}}) AND k.position < n.position
          AND (n.source IS NULL OR k.source = n.source)
    ) AS f ON true
    GROUP BY n.position, n.amount, n.resource
), linked AS (
    SELECT r.position, r.reverses, r.amount FROM meter.reversals r WHERE r.shard = $1
)
(SELECT coalesce(e.position, l.position) AS position,
        CASE WHEN e.position IS NULL THEN 'linked, but no reversal that names an event stands there'
             WHEN l.position IS NULL THEN 'its link is missing'
             WHEN e.fitting <> 1 OR e.resource <> e.its_resource THEN 'no single event of usage fits what it names'
             ELSE format('linked to position %s with %s micro-units, expected %s with %s',
                         l.reverses, l.amount, e.reverses, e.amount) END AS why
 FROM expected e
 FULL JOIN linked l ON l.position = e.position
 WHERE e.position IS NULL OR l.position IS NULL OR e.fitting <> 1 OR e.resource <> e.its_resource
    OR (l.reverses, l.amount) <> (e.reverses, e.amount)
 ORDER BY 1
 LIMIT 1000)
UNION ALL
(SELECT max(l.position), format('with it %s of the %s micro-units at position %s are reversed',
                                sum(l.amount), o.amount, l.reverses)
 FROM linked l
 JOIN meter.events o ON o.shard = $1 AND o.position = l.reverses
 GROUP BY l.reverses, o.amount
 HAVING sum(l.amount) > o.amount
 LIMIT 1000)
