-- Whether an account may spend a resource.
-- $1 account text, $2 resource text
SELECT allowed FROM projections.balances WHERE account_id = $1 AND resource = $2
