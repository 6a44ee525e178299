-- Texts say "free" by what was ever granted and not by the plan's name, and times in the account's own time zone.
ALTER TABLE notifier.balances ADD COLUMN free_only boolean;
ALTER TABLE notifier.accounts ADD COLUMN time_zone text;
COMMENT ON COLUMN notifier.balances.free_only IS
    'whether nothing but the free allowance was ever granted; NULL until an event says so';

-- A banner that is shown stays as it is until the next event of its balance.
UPDATE notifier.balances b SET free_only = true
FROM notifier.banners s
WHERE s.account_id = b.account_id AND s.resource = b.resource AND s.kind = 'free_expired' AND b.epoch = 1;
