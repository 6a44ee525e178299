-- The banners that an account sees now.
-- $1 account_id text
SELECT resource, threshold, kind, removable, text, epoch, raised_at
FROM notifier.banners
WHERE account_id = $1
ORDER BY resource
