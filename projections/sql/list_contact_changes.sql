-- Who is a contact, and whether the account is open, from the first opening of each account on.
-- $1 shard int, $2 position bigint
WITH listed AS (
    SELECT account_id, position, type, (data -> 'contacts')::text AS contacts,
           min(position) FILTER (WHERE type = {{account.opened.v1}}) OVER (PARTITION BY account_id) AS opening
    FROM meter.events
    WHERE shard = $1 AND position <= $2
      AND type IN ({{account.opened.v1}}, {{account.contacts_changed.v1}}, {{account.closed.v1}},
                   {{account.reopened.v1}})
)
SELECT account_id, position, type = {{account.closed.v1}} AS closes, contacts
FROM listed
WHERE position = opening OR position > opening AND type <> {{account.opened.v1}}
ORDER BY account_id, position
