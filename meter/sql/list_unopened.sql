-- Accounts that nobody opened and that have something all the same, those with the newest event first: what is kept until the
-- opening, and the first day (UTC) that an event of theirs is of.
-- $1 limit bigint
WITH listed AS MATERIALIZED (
    SELECT account_id, shard, plan, display_name, time_zone, contacts, credits_granted, credits_used, runs_granted,
           runs_used, as_of
    FROM projections.unopened_accounts
    ORDER BY as_of DESC, account_id
    LIMIT $1
), first_days AS (
    SELECT e.account_id, min(e.occurred_at AT TIME ZONE 'UTC')::date AS day
    FROM meter.events e
    WHERE e.type > {{last_usage}} AND e.account_id IN (SELECT account_id FROM listed)
    GROUP BY e.account_id
), first_slots AS (
    SELECT u.account_id, min(u.slot AT TIME ZONE 'UTC')::date AS day
    FROM projections.usage_slots u
    WHERE u.account_id IN (SELECT account_id FROM listed)
    GROUP BY u.account_id
)
SELECT l.account_id, l.plan, l.display_name, l.time_zone, l.contacts, l.credits_granted, l.credits_used, l.runs_granted,
       l.runs_used,
       least(f.day, u.day) AS since
FROM listed l
LEFT JOIN first_days f ON f.account_id = l.account_id
LEFT JOIN first_slots u ON u.account_id = l.account_id
ORDER BY l.as_of DESC, l.account_id
