-- Accounts with usage or grants that nobody opened.
SELECT count(DISTINCT account_id) FROM projections.balance_states WHERE NOT opened
