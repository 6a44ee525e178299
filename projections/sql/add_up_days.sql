-- Add up the days of accounts from their slots, in place of what may stand there.
-- $1 shard int, $2 after account text, $3 upto account text, $4 first day date, $5 until day date (not included)
INSERT INTO projections.usage_totals AS t (
    shard, account_id, day, resource, kind, item, deployment, category, status, events, amount, tokens_in, tokens_out, seconds,
    last_used)
SELECT $1, n.account_id, n.day, n.resource, n.kind, n.item, n.deployment, n.category, n.status, sum(n.events), sum(n.amount),
       sum(n.tokens_in), sum(n.tokens_out), sum(n.seconds), max(n.last_used)
FROM (
    SELECT u.*, (u.slot AT TIME ZONE coalesce(z.time_zone, 'UTC'))::date AS day
    FROM projections.balance_states b
    LEFT JOIN projections.usage_zones z ON z.shard = b.shard /*citus AND z.shard = $1 */ AND z.account_id = b.account_id
    -- LATERAL with OFFSET 0: along the key for each account, not all slots that a shard ever had. No zone is a day from UTC.
    CROSS JOIN LATERAL (
        SELECT account_id, slot, resource, kind, item, deployment, category, status, events, amount, tokens_in, tokens_out, seconds,
               last_used
        FROM projections.usage_slots s
        WHERE s.shard = b.shard /*citus AND s.shard = $1 */ AND s.account_id = b.account_id AND s.resource = b.resource
          AND s.slot >= ($4::date - 1)::timestamp AT TIME ZONE 'UTC' AND s.slot < ($5::date + 1)::timestamp AT TIME ZONE 'UTC'
        OFFSET 0
    ) AS u
    WHERE b.shard = $1 AND b.account_id > $2 COLLATE "C" AND b.account_id <= $3 COLLATE "C"
) AS n
WHERE n.day >= $4 AND n.day < $5
GROUP BY n.account_id, n.day, n.resource, n.kind, n.item, n.deployment, n.category, n.status
ORDER BY n.account_id, n.day, n.resource, n.kind, n.item, n.deployment, n.category, n.status  -- along the index: less work
ON CONFLICT (shard, account_id, day, resource, kind, item, deployment, category, status) DO UPDATE
SET events = excluded.events, amount = excluded.amount, tokens_in = excluded.tokens_in, tokens_out = excluded.tokens_out,
    seconds = excluded.seconds, last_used = excluded.last_used
WHERE (t.events, t.amount, t.tokens_in, t.tokens_out, t.seconds, t.last_used)
      IS DISTINCT FROM (excluded.events, excluded.amount, excluded.tokens_in, excluded.tokens_out, excluded.seconds, excluded.last_used)
