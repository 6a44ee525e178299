-- Accounts the notifier knows with both their balances.
SELECT least((SELECT count(*) FROM notifier.accounts), (SELECT count(*) / 2 FROM notifier.balances))::bigint
