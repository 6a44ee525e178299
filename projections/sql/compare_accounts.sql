-- Accounts that differ from the log. Contacts are personal data: a hash shows whether they agree, and hides them.
-- $1 shard int, $2 position bigint
WITH events AS (
    SELECT account_id COLLATE "C" AS account_id, position, type, data, occurred_at, recorded_at,
           min(position) FILTER (WHERE type = {{account.opened.v1}}) OVER (PARTITION BY account_id) AS opening
    FROM meter.events
    WHERE shard = $1 AND position <= $2 AND type IN ({{account}})
), expected AS (
    SELECT account_id,
           (array_agg(lower(data ->> 'plan') ORDER BY position DESC)
               FILTER (WHERE type IN ({{account.opened.v1}}, {{account.plan_changed.v1}})))[1] AS plan,
           -- What is no name is left out, as the fold does: not text, blank, too long, with control characters.
           max(data ->> 'display_name') FILTER (
               WHERE type = {{account.opened.v1}} AND jsonb_typeof(data::jsonb -> 'display_name') = 'string'
                 AND data ->> 'display_name' ~ '\S' AND length(data ->> 'display_name') <= 256
                 AND data ->> 'display_name' !~ '[\u0001-\u001f\u007f-\u009f]'
           ) AS display_name,
           md5((array_agg(data -> 'contacts' ORDER BY position DESC)
               FILTER (WHERE type IN ({{account.opened.v1}}, {{account.contacts_changed.v1}})))[1]::jsonb::text) AS contacts,
           max(occurred_at) FILTER (WHERE type = {{account.opened.v1}}) AS opened_at, max(position) AS position
    FROM events
    -- The first opening and the changes after it.
    WHERE position = opening
       OR position > opening AND type IN ({{account.plan_changed.v1}}, {{account.contacts_changed.v1}})
    GROUP BY account_id
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
