-- Every account that stands anywhere, with its shard; keys that were thrown away are in list_forgotten.sql.
SELECT shard, account_id FROM meter.events
UNION SELECT shard, account_id FROM meter.keys WHERE key IS NOT NULL
UNION SELECT shard, account_id FROM projections.balance_states
UNION SELECT shard, account_id FROM projections.account_states
UNION SELECT shard, account_id FROM notifier.balances
UNION SELECT shard, account_id FROM notifier.accounts
UNION SELECT shard, account_id FROM notifier.recalled
