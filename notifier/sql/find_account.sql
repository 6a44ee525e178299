-- Whether anything is known of an account.
-- $1 account_id text
SELECT EXISTS (SELECT FROM notifier.accounts WHERE account_id = $1)
    OR EXISTS (SELECT FROM notifier.balances WHERE account_id = $1)
