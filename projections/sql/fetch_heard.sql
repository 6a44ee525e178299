-- The position up to which the notifier has read a shard: messages come in the order of positions.
-- $1 shard int
SELECT greatest((SELECT max(position) FROM notifier.balances WHERE shard = $1),
                (SELECT max(position) FROM notifier.accounts WHERE shard = $1)) AS position
