-- Tell the notifier where a generation begins; it reads back what was told before it sends anything.
-- $1 shard int, $2 generation int, $3 from_position bigint
INSERT INTO notifier.generations (shard, generation, from_position) VALUES ($1, $2, $3)
