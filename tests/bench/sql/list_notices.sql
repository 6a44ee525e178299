-- The lines that were crossed.
SELECT account_id, resource, channel, threshold FROM notifier.notices
