-- The banners that an account sees now.
-- $1 account text, $2 resource text or null
SELECT resource, threshold, kind, removable, epoch, position, raised_at, text
FROM notifier.banners
WHERE account_id = $1 AND ($2::text IS NULL OR resource = $2)
ORDER BY resource
