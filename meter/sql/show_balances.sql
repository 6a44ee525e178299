-- What an account has of each resource, for people; of one that nobody opened as well.
-- $1 account text
SELECT resource, allocation, consumed, remaining, allowed, account_state
FROM projections.all_balances
WHERE account_id = $1
ORDER BY resource
