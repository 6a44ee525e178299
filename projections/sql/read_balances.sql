-- What an account that was opened has of each resource.
-- $1 account text, $2 its shard int or null (any)
SELECT account_id, resource, allocation, consumed, remaining, exhaustion, status, allowed, epoch,
       lifetime_granted, lifetime_consumed, free_only, account_state,
       as_of, shard, position
FROM projections.balances
WHERE account_id = $1 AND ($2::int IS NULL OR shard = $2)
ORDER BY resource
