-- What happened to an account besides its usage, newest first.
-- $1 account text, $2 most integer
SELECT at, type, resource, amount, reason, reference
FROM projections.account_history WHERE account_id = $1
ORDER BY position DESC
LIMIT $2::int
