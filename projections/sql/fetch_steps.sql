-- The published states of balances that are kept of a shard from a position on, in the order of positions. Amounts as text, and no time
-- that a calendar does not have: what was put there by hand may be anything.
-- $1 shard int, $2 from position bigint
SELECT account_id, resource, position, epoch, trim_scale(allocation)::text AS allocation, trim_scale(consumed)::text AS consumed,
       CASE WHEN at > '0001-01-02 UTC' AND at < '9999-12-30 UTC' THEN at END AS at
FROM projections.exhaustion_steps
WHERE shard = $1 AND position >= $2
ORDER BY position
