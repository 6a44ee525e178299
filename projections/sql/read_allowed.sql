-- Whether an account may spend a resource.
-- $1 account text, $2 resource text, $3 its shard int or null (any)
SELECT allowed FROM projections.balances WHERE account_id = $1 AND resource = $2 AND ($3::int IS NULL OR shard = $3)
