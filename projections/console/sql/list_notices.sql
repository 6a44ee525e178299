-- When each line was reached, newest first, and of one moment the newest count.
-- $1 account text, $2 most integer, $3 from timestamptz, $4 until timestamptz
SELECT resource, epoch, channel, threshold, outcome, allocation, consumed, created_at AS at
FROM notifier.notice_history WHERE account_id = $1 AND created_at >= $3 AND created_at < $4
ORDER BY created_at DESC, epoch DESC, threshold DESC, channel
LIMIT $2::int
