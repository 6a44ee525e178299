-- The thresholds in force for an account: of its shard, as the notifier recorded them last. No row: it never ran.
-- $1 account text
SELECT l.banner, l.email
FROM notifier.lines_in_force l
WHERE l.shard = (SELECT min(b.shard) FROM projections.balances b WHERE b.account_id = $1)
