-- Of how many shards the notifier reads a topic.
-- $1 topic text
SELECT count(*)::int FROM notifier.cursors WHERE topic = $1
