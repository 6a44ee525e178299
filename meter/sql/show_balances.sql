-- What an account has of each resource, for people.
-- $1 account text
SELECT resource, allocation, consumed, remaining, allowed, account_state
FROM projections.balances
WHERE account_id = $1
ORDER BY resource
