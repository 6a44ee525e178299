-- Accounts that differ from the log. Contacts are personal data: whether they agree is told, not what they are.
-- $1 shard int, $2 position bigint
WITH events AS (
    SELECT account_id COLLATE "C" AS account_id, position, type, data, occurred_at, recorded_at
    FROM meter.events
    WHERE shard = $1 AND position <= $2 AND type IN (10, 11, 12)
), opened AS (
    SELECT DISTINCT ON (account_id) * FROM events WHERE type = 10 ORDER BY account_id, position
), changed AS (
    SELECT e.account_id, max(e.position) AS position,
           (array_agg(e.data ->> 'plan' ORDER BY e.position DESC) FILTER (WHERE e.type = 11))[1] AS plan,
           (array_agg(e.data -> 'contacts' ORDER BY e.position DESC) FILTER (WHERE e.type = 12))[1] AS contacts
    FROM events e
    JOIN opened o ON o.account_id = e.account_id AND e.position > o.position
    WHERE e.type IN (11, 12)
    GROUP BY e.account_id
), expected AS (
    SELECT account_id, coalesce(c.plan, o.data ->> 'plan') AS plan, o.data ->> 'display_name' AS display_name,
           md5(coalesce(c.contacts, o.data -> 'contacts')::jsonb::text) AS contacts, o.occurred_at AS opened_at,
           coalesce(c.position, o.position) AS position
    FROM opened o
    LEFT JOIN changed c USING (account_id)
), stored AS (
    SELECT account_id, plan, display_name, md5(contacts::text) AS contacts, opened_at, position
    FROM projections.account_states
    WHERE shard = $1
)
SELECT account_id, 'account' AS what, to_jsonb(s)::text AS stored, to_jsonb(e)::text AS log
FROM stored s
FULL JOIN expected e USING (account_id)
WHERE (s.plan, s.display_name, s.contacts, s.opened_at, s.position)
      IS DISTINCT FROM (e.plan, e.display_name, e.contacts, e.opened_at, e.position)
ORDER BY account_id
