-- Plan, name, time zone and contacts that come before the opening of their account are kept until then, in a row without
-- opened_at. Readers see no such row: an account that nobody opened has neither plan nor contacts yet.
ALTER TABLE projections.account_states
    ALTER COLUMN plan DROP NOT NULL, ALTER COLUMN contacts DROP NOT NULL, ALTER COLUMN opened_at DROP NOT NULL;
ALTER TABLE projections.rebuilt_accounts
    ALTER COLUMN plan DROP NOT NULL, ALTER COLUMN contacts DROP NOT NULL, ALTER COLUMN opened_at DROP NOT NULL;
COMMENT ON COLUMN projections.account_states.opened_at IS
    'when it was opened; null: nobody opened it, and what came of it so far is kept until somebody does';

CREATE OR REPLACE VIEW projections.accounts AS
SELECT account_id, plan, display_name, opened_at, as_of, shard, position, time_zone,
       CASE WHEN closed THEN 'closed' ELSE 'open' END AS state
FROM projections.account_states
WHERE opened_at IS NOT NULL;

-- What was folded before: the newest change of each field counts, wherever the opening stands.
WITH changes AS (
    SELECT e.shard, e.account_id, e.position, e.recorded_at,
           CASE e.type WHEN 11 THEN lower(e.data ->> 'plan') END AS plan,
           CASE e.type WHEN 12 THEN (e.data -> 'contacts')::jsonb END AS contacts,
           CASE WHEN e.type = 16 AND jsonb_typeof(e.data::jsonb -> 'display_name') = 'string'
                 AND e.data ->> 'display_name' ~ '\S' AND length(e.data ->> 'display_name') <= 256
                 AND e.data ->> 'display_name' !~ '[\u0001-\u001f\u007f-\u009f]'
                THEN e.data ->> 'display_name' END AS display_name,
           CASE WHEN e.type = 16 AND jsonb_typeof(e.data::jsonb -> 'time_zone') = 'string'
                 AND length(e.data ->> 'time_zone') <= 64
                 AND e.data ->> 'time_zone' ~ '^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$'
                THEN e.data ->> 'time_zone' END AS time_zone
    FROM projections.cursors c
    JOIN meter.events e ON e.shard = c.shard AND e.position <= c.position
    WHERE c.projection = 'balance' AND e.type > 4 AND e.type IN (11, 12, 16)
), newest AS (
    SELECT account_id, shard,
           (array_agg(plan ORDER BY position DESC) FILTER (WHERE plan IS NOT NULL))[1] AS plan,
           (array_agg(display_name ORDER BY position DESC) FILTER (WHERE display_name IS NOT NULL))[1] AS display_name,
           (array_agg(contacts ORDER BY position DESC) FILTER (WHERE contacts IS NOT NULL))[1] AS contacts,
           (array_agg(time_zone ORDER BY position DESC) FILTER (WHERE time_zone IS NOT NULL))[1] AS time_zone,
           max(position) AS position, (array_agg(recorded_at ORDER BY position DESC))[1] AS as_of
    FROM changes
    WHERE plan IS NOT NULL OR display_name IS NOT NULL OR contacts IS NOT NULL OR time_zone IS NOT NULL
    GROUP BY account_id, shard
)
INSERT INTO projections.account_states AS s
    (account_id, shard, plan, display_name, contacts, opened_at, position, as_of, time_zone, closed)
SELECT account_id, shard, plan, display_name, contacts, NULL, position, as_of, time_zone, false
FROM newest
ON CONFLICT (account_id) DO UPDATE
SET plan = coalesce(excluded.plan, s.plan), display_name = coalesce(excluded.display_name, s.display_name),
    contacts = coalesce(excluded.contacts, s.contacts), time_zone = coalesce(excluded.time_zone, s.time_zone)
WHERE (coalesce(excluded.plan, s.plan), coalesce(excluded.display_name, s.display_name),
       coalesce(excluded.contacts, s.contacts), coalesce(excluded.time_zone, s.time_zone))
      IS DISTINCT FROM (s.plan, s.display_name, s.contacts, s.time_zone);

-- Accounts that something is known of and that nobody opened; they are few, and both indexes hold them alone.
CREATE INDEX balance_states_unopened ON projections.balance_states (account_id) WHERE NOT opened;
CREATE INDEX account_states_unopened ON projections.account_states (account_id) WHERE opened_at IS NULL;

CREATE VIEW projections.unopened_accounts AS
SELECT coalesce(k.account_id, b.account_id) AS account_id, coalesce(k.shard, b.shard) AS shard,
       k.plan, k.display_name, k.time_zone, jsonb_array_length(k.contacts) AS contacts,
       coalesce(b.credits_granted, 0) AS credits_granted, coalesce(b.credits_used, 0) AS credits_used,
       coalesce(b.runs_granted, 0) AS runs_granted, coalesce(b.runs_used, 0) AS runs_used,
       greatest(k.as_of, b.as_of) AS as_of
FROM (SELECT * FROM projections.account_states WHERE opened_at IS NULL) AS k
FULL JOIN (
    SELECT account_id, min(shard) AS shard, max(as_of) AS as_of,
           (sum(granted) FILTER (WHERE resource = 1) / 1000000)::numeric(20, 6) AS credits_granted,
           (sum(consumed) FILTER (WHERE resource = 1) / 1000000)::numeric(20, 6) AS credits_used,
           (sum(granted) FILTER (WHERE resource = 2) / 1000000)::numeric(20, 6) AS runs_granted,
           (sum(consumed) FILTER (WHERE resource = 2) / 1000000)::numeric(20, 6) AS runs_used
    FROM projections.balance_states
    WHERE NOT opened
    GROUP BY account_id
) AS b USING (account_id);
COMMENT ON VIEW projections.unopened_accounts IS
    'what is kept until the opening: plan, name and time zone, the number of contacts, and what was granted and used';
