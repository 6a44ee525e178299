-- What an account has of each resource, for people.
-- $1 account text
SELECT resource, allocation, consumed, remaining, allowed
FROM projections.balances
WHERE account_id = $1
ORDER BY resource
