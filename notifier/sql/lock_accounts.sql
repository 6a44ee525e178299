-- Hold the letters of these accounts: the fold and the mailers change them one after the other.
-- $1 account_ids text[]
SELECT account_id FROM notifier.accounts WHERE account_id = ANY($1) ORDER BY account_id FOR UPDATE
