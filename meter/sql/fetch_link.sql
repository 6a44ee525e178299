-- The last batch before a number: what the batch of that number must follow.
-- $1 shard int, $2 batch bigint
SELECT batch, last_position, usage_to, accounts_to, hash, generation
FROM meter.batches WHERE shard = $1 AND batch < $2 ORDER BY batch DESC LIMIT 1
