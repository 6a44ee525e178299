-- The notices of an account, the newest first.
-- $1 account text, $2 resource text or null, $3 limit bigint
SELECT resource, epoch, channel, threshold, outcome, consumed, allocation, position, created_at
FROM notifier.notices
WHERE account_id = $1 AND ($2::text IS NULL OR resource = $2)
ORDER BY epoch DESC, position DESC, created_at DESC, channel, threshold DESC
LIMIT $3
