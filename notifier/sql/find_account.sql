-- The shard of an account of which anything is known; else null.
-- $1 account_id text
SELECT coalesce((SELECT min(shard) FROM notifier.accounts WHERE account_id = $1),
                (SELECT min(shard) FROM notifier.balances WHERE account_id = $1)) AS shard
