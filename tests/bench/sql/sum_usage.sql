-- Micro-units used per account and resource, from the events themselves.
-- $1 timestamptz: recorded since
SELECT account_id, resource, sum(amount)::bigint AS used
FROM meter.events
WHERE type BETWEEN 1 AND 4 AND recorded_at >= $1
GROUP BY account_id, resource
