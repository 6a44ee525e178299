-- The usage of accounts that is stored under ids, whatever its source, and what of it is not reversed yet. A UUID begins the
-- key, any other id has an index of its own, and events stored before they had a key are found by their UUID.
-- $1 shard int, $2 accounts text[], $3 ids text[]
SELECT n.number, e.position, e.source, e.resource, e.amount, e.type, e.name, e.occurred_at,
       e.amount - coalesce((SELECT sum(r.amount)::bigint FROM meter.reversals r
                            WHERE r.shard = $1 AND r.reverses = e.position), 0) AS unreversed
FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS n (account_id, id, number)
CROSS JOIN LATERAL (
    SELECT CASE WHEN n.id ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN n.id::uuid END AS uuid
) AS u
CROSS JOIN LATERAL (
    (SELECT * FROM meter.events k
     WHERE k.shard = $1 AND k.event_key IS NOT NULL AND k.event_key >= uuid_send(u.uuid)
       AND k.event_key <= uuid_send(u.uuid) || '\xffffffffffffffffffffffffffffffff'::bytea OFFSET 0)
    UNION ALL
    (SELECT * FROM meter.events k
     WHERE k.shard = $1 AND k.id IS NOT NULL AND k.id = n.id AND k.account_id = n.account_id OFFSET 0)
    UNION ALL
    (SELECT * FROM meter.events k WHERE k.shard = $1 AND k.event_key IS NULL AND k.event_id = u.uuid OFFSET 0)
) AS e
WHERE e.account_id = n.account_id AND e.type IN ({{usage}})
ORDER BY n.number, e.position
