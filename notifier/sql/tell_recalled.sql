-- What was told in the present epoch of a balance counts at once; what was told in later ones, when they begin again.
INSERT INTO notifier.told (shard, account_id, resource, contact, level)
SELECT r.shard, r.account_id, r.resource, r.contact, max(r.line)
FROM notifier.recalled r
JOIN notifier.contacts c USING (shard, account_id, contact)
JOIN notifier.balances b ON b.shard = r.shard AND b.account_id = r.account_id AND b.resource = r.resource AND b.epoch = r.epoch
GROUP BY r.shard, r.account_id, r.resource, r.contact
ON CONFLICT (shard, account_id, resource, contact) DO UPDATE SET level = greatest(told.level, excluded.level)
