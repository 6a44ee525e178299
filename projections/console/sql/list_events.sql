-- What happened to an account besides its usage, newest first. Each branch is asked for the account: their ids differ in collation, and
-- above both of them no index would serve.
-- $1 account text, $2 most integer, $3 from timestamptz, $4 until timestamptz
SELECT h.at, h.type, h.resource, h.amount, h.reason, h.reference, h.source
FROM (
    SELECT at, type, resource, amount, reason, reference, source, position
    FROM projections.account_history WHERE account_id = $1 AND at >= $3 AND at < $4
    UNION ALL
    SELECT at, 'account.forgotten.v1', NULL, NULL, NULL, NULL, NULL, NULL
    FROM projections.forgotten_accounts WHERE account_id = $1 AND at >= $3 AND at < $4
) AS h
ORDER BY h.at DESC, h.position DESC NULLS FIRST
LIMIT $2::int
