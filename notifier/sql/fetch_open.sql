-- Whether accounts are open.
-- $1 account_ids text[]
SELECT account_id, is_open FROM notifier.accounts WHERE account_id = ANY($1)
