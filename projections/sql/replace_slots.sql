-- Replace a shard's slots that differ from those that a rebuild collected. Returns how many rows there are then, and how many
-- were added, changed and removed.
-- $1 shard int
WITH expected AS MATERIALIZED (
    SELECT account_id, slot, resource, kind, item, deployment, category, status, sum(events)::bigint AS events,
           sum(amount) AS amount, sum(tokens_in) AS tokens_in, sum(tokens_out) AS tokens_out, sum(seconds) AS seconds,
           max(last_used) AS last_used, max(changed_at) AS changed_at
    FROM projections.rebuilt_slots
    WHERE shard = $1
    GROUP BY account_id, slot, resource, kind, item, deployment, category, status
), removed AS (
    DELETE FROM projections.usage_slots s
    WHERE s.shard = $1
      AND NOT EXISTS (
          SELECT FROM expected e
          WHERE s.account_id = e.account_id AND s.slot = e.slot AND s.resource = e.resource AND s.kind = e.kind
            AND s.item = e.item AND s.deployment = e.deployment AND s.category = e.category AND s.status = e.status)
    RETURNING 1
), differing AS (
    SELECT e.*
    FROM expected e
    LEFT JOIN projections.usage_slots s
        ON s.shard = $1 AND s.account_id = e.account_id AND s.slot = e.slot AND s.resource = e.resource AND s.kind = e.kind
        AND s.item = e.item AND s.deployment = e.deployment AND s.category = e.category AND s.status = e.status
    WHERE (s.events, s.amount, s.tokens_in, s.tokens_out, s.seconds, s.last_used, s.changed_at)
          IS DISTINCT FROM (e.events, e.amount, e.tokens_in, e.tokens_out, e.seconds, e.last_used, e.changed_at)
), saved AS (
    INSERT INTO projections.usage_slots AS t (
        shard, account_id, slot, resource, kind, item, deployment, category, status, events, amount, tokens_in, tokens_out,
        seconds, last_used, changed_at)
    SELECT $1, account_id, slot, resource, kind, item, deployment, category, status, events, amount, tokens_in, tokens_out,
        seconds, last_used, changed_at
    FROM differing
    ON CONFLICT (shard, account_id, slot, resource, kind, item, deployment, category, status) DO UPDATE
    SET events = excluded.events, amount = excluded.amount, tokens_in = excluded.tokens_in,
        tokens_out = excluded.tokens_out, seconds = excluded.seconds, last_used = excluded.last_used,
        changed_at = excluded.changed_at
    RETURNING xmax = 0 AS added
)
SELECT (SELECT count(*) FROM expected) AS rows, (SELECT count(*) FROM saved WHERE added) AS added,
       (SELECT count(*) FROM saved WHERE NOT added) AS changed, (SELECT count(*) FROM removed) AS removed
