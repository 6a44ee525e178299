-- The last balances seen of accounts.
-- $1 account_ids text[]
SELECT account_id, resource, epoch, allocation, consumed, shard, position, line, as_of, free_only, generation
FROM notifier.balances
WHERE account_id = ANY($1)
