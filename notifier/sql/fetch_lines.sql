-- The epoch and the line that the balances of accounts are at.
-- $1 account_ids text[], $2 their shards int[]
SELECT account_id, resource, epoch, line FROM notifier.balances WHERE account_id = ANY($1) AND shard = ANY ($2)
