-- Where each generation begins.
SELECT shard, generation, from_position FROM notifier.generations
