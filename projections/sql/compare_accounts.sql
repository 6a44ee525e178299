-- Accounts that differ from the log. Contacts are personal data: a hash shows whether they agree, and hides them.
-- Data that is sealed comes opened; of accounts that were forgotten it has neither contacts nor a name. Those that are forgotten further on
-- than balances have come are not looked at: the log alone has lost them.
-- $1 shard int, $2 position bigint, $3 names of time zones text[], $4 positions of opened data bigint[],
-- $5 opened data text[] (JSON)
WITH log AS (
    SELECT e.account_id, e.position, e.type, e.occurred_at, e.recorded_at, e.source, e.id, e.event_key, e.event_id,
           coalesce(o.data::json, e.data) AS data
    FROM meter.events e
    LEFT JOIN unnest($4::bigint[], $5::text[]) AS o (position, data) ON o.position = e.position
    WHERE e.shard = $1 AND e.position <= $2 AND e.type IN ({{account}})
), events AS (
    SELECT account_id COLLATE "C" AS account_id, position, type, data, occurred_at, recorded_at, source,
           coalesce(id, encode(substr(event_key, 1, 16), 'hex')::uuid::text, event_id::text) AS event_id,
           -- What is no name is left out, as the fold does: not text, blank, too long, with control characters.
           CASE WHEN type IN ({{account.opened.v1}}, {{account.renamed.v1}})
                 AND json_typeof(data -> 'display_name') = 'string'
                 AND data ->> 'display_name' ~ '[^ \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]' AND length(data ->> 'display_name') <= 256
                 AND data ->> 'display_name' !~ '[\u0001-\u001f\u007f-\u009f]'
                THEN data ->> 'display_name' END AS display_name,
           CASE WHEN type IN ({{account.opened.v1}}, {{account.renamed.v1}}) THEN z.name END AS time_zone,
           min(position) FILTER (WHERE type = {{account.opened.v1}}) OVER (PARTITION BY account_id) AS opening
    FROM log
    -- In letters of ASCII alone, whatever the locale: other ones lower to k and i, and are no zone's.
    LEFT JOIN unnest($3::text[]) AS z (name) ON lower(z.name COLLATE "C") = lower((data ->> 'time_zone') COLLATE "C")
), closings AS (
    SELECT account_id, position, closed
    FROM (
        SELECT account_id, position, type = {{account.closed.v1}} AS closed,
               lag(type = {{account.closed.v1}}, 1, false) OVER (PARTITION BY account_id ORDER BY position) AS before
        FROM events
        WHERE type IN ({{account.closed.v1}}, {{account.reopened.v1}}) AND position > opening
    ) AS each
    WHERE closed <> before  -- closing what is closed changes nothing
), changes AS (
    -- The first opening and the changes before and after it; openings and closings before it have no effect.
    SELECT e.*, c.closed
    FROM events e
    LEFT JOIN closings c ON c.account_id = e.account_id AND c.position = e.position
    WHERE e.position = e.opening
       OR e.type IN ({{account.plan_changed.v1}}, {{account.contacts_changed.v1}}, {{account.forgotten.v1}})
       OR e.type = {{account.renamed.v1}} AND (e.display_name IS NOT NULL OR e.time_zone IS NOT NULL)
       OR c.closed IS NOT NULL
), named AS (  -- by each address the event that named it first, in whatever spelling
    SELECT DISTINCT ON (e.account_id, lower(c.address))
           e.account_id, e.position, c.place, c.address,
           projections.contact_id(e.account_id, e.source, e.event_id, c.place::int - 1) AS contact_id
    FROM events e
    CROSS JOIN LATERAL json_array_elements_text(e.data -> 'contacts') WITH ORDINALITY AS c (address, place)
    WHERE e.type = {{account.contacts_changed.v1}} OR e.position = e.opening
    ORDER BY e.account_id, lower(c.address), e.position, c.place
), known AS (
    SELECT account_id, md5(jsonb_agg(jsonb_build_array(address, contact_id) ORDER BY position, place)::text) AS contact_ids
    FROM named
    GROUP BY account_id
), expected AS (
    -- The newest change; what the opening says counts only where nobody changed it, before or after.
    SELECT account_id,
           (array_agg(lower(data ->> 'plan') ORDER BY position = opening, position DESC)
               FILTER (WHERE type IN ({{account.opened.v1}}, {{account.plan_changed.v1}})))[1] AS plan,
           (array_agg(display_name ORDER BY position = opening, position DESC)
               FILTER (WHERE display_name IS NOT NULL))[1] AS display_name,
           md5((array_agg(data -> 'contacts' ORDER BY position = opening, position DESC)
               FILTER (WHERE type IN ({{account.opened.v1}}, {{account.contacts_changed.v1}})))[1]::jsonb::text) AS contacts,
           max(occurred_at) FILTER (WHERE type = {{account.opened.v1}}) AS opened_at, max(position) AS position,
           (array_agg(recorded_at ORDER BY position DESC))[1] AS as_of,
           (array_agg(time_zone ORDER BY position = opening, position DESC)
               FILTER (WHERE time_zone IS NOT NULL))[1] AS time_zone,
           coalesce((array_agg(closed ORDER BY position DESC) FILTER (WHERE closed IS NOT NULL))[1], false) AS closed,
           coalesce(max(contact_ids), md5('[]')) AS contact_ids,
           bool_or(type = {{account.forgotten.v1}}) AS forgotten
    FROM changes
    LEFT JOIN known USING (account_id)
    GROUP BY account_id
), leaving AS MATERIALIZED (
    SELECT account_id COLLATE "C" AS account_id FROM meter.events
    WHERE shard = $1 AND position > $2 AND type > {{last_usage}} AND type = {{account.forgotten.v1}}
), stored AS (
    SELECT account_id, plan, display_name, md5(contacts::text) AS contacts, opened_at, position, as_of, time_zone, closed,
           md5(contact_ids::text) AS contact_ids, forgotten
    FROM projections.account_states
    WHERE shard = $1
)
SELECT account_id, 'account' AS what, to_jsonb(s)::text AS stored, to_jsonb(e)::text AS log
FROM stored s
FULL JOIN expected e USING (account_id)
WHERE (s.plan, s.display_name, s.contacts, s.opened_at, s.position, s.as_of, s.time_zone, s.closed, s.contact_ids, s.forgotten)
      IS DISTINCT FROM
      (e.plan, e.display_name, e.contacts, e.opened_at, e.position, e.as_of, e.time_zone, e.closed, e.contact_ids, e.forgotten)
  AND account_id NOT IN (SELECT account_id FROM leaving)
ORDER BY account_id
