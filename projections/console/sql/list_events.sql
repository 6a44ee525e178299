-- What happened to an account besides its usage, newest first.
-- $1 account text, $2 most integer, $3 from timestamptz, $4 until timestamptz
SELECT at, type, resource, amount, reason, reference, source
FROM projections.account_history WHERE account_id = $1 AND at >= $3 AND at < $4
ORDER BY at DESC, position DESC
LIMIT $2::int
