-- Whether setup has made the notifier's tables.
SELECT to_regclass('notifier.cursors') IS NOT NULL
