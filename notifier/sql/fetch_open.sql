-- Whether accounts are open.
-- $1 account_ids text[], $2 their shards int[]
SELECT account_id, is_open FROM notifier.accounts WHERE account_id = ANY($1) AND shard = ANY ($2)
