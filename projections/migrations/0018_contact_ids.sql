-- Events name contacts by ids. The addresses and the name stay here, where one view shows them to the notifier.

-- Of a contact: it follows from the identity of the event that first named them, and their place there, counted from 0.
CREATE FUNCTION projections.contact_id(account_id text, source text, event_id text, place int) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT encode(set_byte(set_byte(h, 6, get_byte(h, 6) & 15 | 128), 8, get_byte(h, 8) & 63 | 128), 'hex')::uuid
    FROM (SELECT substr(sha256(convert_to(
        'contact' || E'\n' || account_id || E'\n' || source || E'\n' || event_id || E'\n' || place::text, 'UTF8')), 1, 16)
        AS h) AS made
);

ALTER TABLE projections.account_states ADD COLUMN contact_ids jsonb NOT NULL DEFAULT '[]';
ALTER TABLE projections.rebuilt_accounts ADD COLUMN contact_ids jsonb NOT NULL;
COMMENT ON COLUMN projections.account_states.contact_ids IS
    'address and id of everybody who is or was a contact, in the order in which events first named them';

-- What was folded before: contacts that events of the log named, from the first opening of the account on or before it.
WITH events AS (
    SELECT e.shard, e.account_id COLLATE "C" AS account_id, e.position, e.type, e.source, e.data,
           coalesce(e.id, encode(substr(e.event_key, 1, 16), 'hex')::uuid::text, e.event_id::text) AS event_id,
           min(e.position) FILTER (WHERE e.type = 10) OVER (PARTITION BY e.shard, e.account_id) AS opening
    FROM projections.cursors c
    JOIN meter.events e ON e.shard = c.shard AND e.position <= c.position
    WHERE c.projection = 'balance' AND e.type > 4 AND e.type IN (10, 12)
), named AS (
    SELECT DISTINCT ON (e.account_id, lower(c.address))
           e.account_id, e.position, c.place, c.address,
           projections.contact_id(e.account_id, e.source, e.event_id, c.place::int - 1) AS contact_id
    FROM events e
    CROSS JOIN LATERAL json_array_elements_text(e.data -> 'contacts') WITH ORDINALITY AS c (address, place)
    WHERE e.type = 12 OR e.position = e.opening
    ORDER BY e.account_id, lower(c.address), e.position, c.place
), known AS (
    SELECT account_id, jsonb_agg(jsonb_build_array(address, contact_id) ORDER BY position, place) AS contact_ids
    FROM named
    GROUP BY account_id
)
UPDATE projections.account_states s SET contact_ids = k.contact_ids
FROM known k
WHERE k.account_id = s.account_id;

-- A fold of the version before that still runs does not give this column: it must fail instead of writing what is wrong.
ALTER TABLE projections.account_states ALTER COLUMN contact_ids DROP DEFAULT;

CREATE VIEW projections.contacts AS
SELECT account_id, shard, display_name, contact_ids AS contacts
FROM projections.account_states
WHERE opened_at IS NOT NULL;
COMMENT ON VIEW projections.contacts IS
    'personal data of accounts that were opened: the name, and address and id of everybody who is or was a contact';
