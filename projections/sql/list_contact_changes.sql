-- Who is a contact, and whether the account is open, from the first opening of each account on.
-- Data that is sealed comes opened; of accounts that were forgotten it has no contacts.
-- $1 shard int, $2 position bigint, $3 positions of opened data bigint[], $4 opened data text[] (JSON)
WITH listed AS (
    SELECT e.account_id, e.position, e.type,
           CASE WHEN e.type IN ({{account.opened.v1}}, {{account.contacts_changed.v1}}) THEN (x.data -> 'contacts')::text END AS contacts,
           min(e.position) FILTER (WHERE e.type = {{account.opened.v1}}) OVER (PARTITION BY e.account_id) AS opening
    FROM meter.events e
    LEFT JOIN unnest($3::bigint[], $4::text[]) AS o (position, data) ON o.position = e.position
    CROSS JOIN LATERAL (SELECT coalesce(o.data::json, e.data) AS data) x
    WHERE e.shard = $1 AND e.position <= $2
      AND e.type IN ({{account.opened.v1}}, {{account.contacts_changed.v1}}, {{account.closed.v1}},
                   {{account.reopened.v1}})
), kept AS (  -- what came before the opening wins over the opening's own
    SELECT DISTINCT ON (account_id) account_id, contacts
    FROM listed
    WHERE type = {{account.contacts_changed.v1}} AND position < opening
    ORDER BY account_id, position DESC
)
SELECT l.account_id, l.position, l.type = {{account.closed.v1}} AS closes,
       CASE WHEN l.position = l.opening THEN coalesce(k.contacts, l.contacts) ELSE l.contacts END AS contacts
FROM listed l
LEFT JOIN kept k USING (account_id)
WHERE l.position = l.opening OR l.position > l.opening AND l.type <> {{account.opened.v1}}
ORDER BY l.account_id, l.position
