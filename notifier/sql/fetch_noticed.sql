-- The lines that accounts have crossed in the current epoch of each balance.
-- $1 account_ids text[]
SELECT n.account_id, n.resource, n.channel, n.threshold
FROM notifier.balances b
JOIN notifier.notices n USING (account_id, resource, epoch)
WHERE b.account_id = ANY($1)
