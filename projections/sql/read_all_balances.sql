-- What an account has of each resource; one that nobody opened as well.
-- $1 account text, $2 its shard int or null (any)
SELECT account_id, resource, allocation, consumed, remaining, exhaustion, status, allowed, epoch,
       lifetime_granted, lifetime_consumed, free_only, account_state,
       as_of, shard, position
FROM projections.all_balances
WHERE account_id = $1 AND ($2::int IS NULL OR shard = $2)
ORDER BY resource
