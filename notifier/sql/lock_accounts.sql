-- Hold the letters of these accounts: the fold and the mailers change them one after the other.
-- $1 account_ids text[], $2 their shards int[]
SELECT account_id FROM notifier.accounts WHERE account_id = ANY($1) AND shard = ANY ($2) ORDER BY account_id FOR UPDATE
