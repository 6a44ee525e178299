-- Where each generation of these shards begins.
-- $1 shards int[] or null (all)
SELECT shard, generation, from_position FROM notifier.generations
WHERE $1::int[] IS NULL OR shard = ANY ($1)
