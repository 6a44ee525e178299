-- Record thresholds where they differ from the newest recorded: they count from the first position not read yet.
-- $1 topic text, $2 banner smallint[], $3 email smallint[]
INSERT INTO notifier.thresholds (shard, position, banner, email)
SELECT c.shard, coalesce(greatest((SELECT max(b.position) FROM notifier.balances b WHERE b.shard = c.shard),
                                  (SELECT max(a.position) FROM notifier.accounts a WHERE a.shard = c.shard)), 0) + 1, $2, $3
FROM notifier.cursors c
WHERE c.topic = $1
  AND NOT EXISTS (
      SELECT FROM (SELECT t.banner, t.email FROM notifier.thresholds t
                   WHERE t.shard = c.shard ORDER BY t.position DESC LIMIT 1) AS newest
      WHERE newest.banner = $2 AND newest.email = $3)
-- Nothing was read since the last change: that one never counted.
ON CONFLICT (shard, position) DO UPDATE SET
    banner = excluded.banner, email = excluded.email, recorded_at = excluded.recorded_at
RETURNING shard
