-- The thresholds of notices and letters by the position from which they count, in order.
-- $1 shard int
SELECT position, banner, email FROM notifier.thresholds WHERE shard = $1 ORDER BY position
