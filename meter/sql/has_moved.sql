-- Whether another shard has events of this one's batches, because its accounts moved.
-- $1 shard int
SELECT EXISTS (SELECT 1 FROM meter.moved WHERE origin = $1)
