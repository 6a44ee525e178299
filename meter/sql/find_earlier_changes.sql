-- What these accounts were given before a position of theirs, newest first: the last plan, the last contacts, and the last names and
-- time zones, up to a number; with the keys of the accounts, an empty key: forgotten.
-- $1 shard int, $2 accounts text[], $3 positions bigint[], $4 most names and time zones bigint
SELECT a.account_id, l.type, l.data::text AS data, CASE WHEN k.shard IS NOT NULL THEN coalesce(k.key, ''::bytea) END AS key
FROM unnest($2::text[], $3::bigint[]) AS a (account_id, position)
CROSS JOIN LATERAL (
    (SELECT e.type, e.position, e.data FROM meter.events e
     WHERE e.shard = $1 AND e.account_id = a.account_id AND e.position < a.position AND e.type = {{account.plan_changed.v1}}
     ORDER BY e.position DESC LIMIT 1)
    UNION ALL
    (SELECT e.type, e.position, e.data FROM meter.events e
     WHERE e.shard = $1 AND e.account_id = a.account_id AND e.position < a.position AND e.type = {{account.contacts_changed.v1}}
     ORDER BY e.position DESC LIMIT 1)
    UNION ALL
    (SELECT e.type, e.position, e.data FROM meter.events e
     WHERE e.shard = $1 AND e.account_id = a.account_id AND e.position < a.position AND e.type = {{account.renamed.v1}}
     ORDER BY e.position DESC LIMIT $4)
) AS l
LEFT JOIN meter.keys k ON k.shard = $1 AND k.account_id = a.account_id
ORDER BY a.account_id, l.position DESC
