-- The shards whose republication has not come to its end, and how far it is.
SELECT shard, accounts, begun_at FROM projections.republications WHERE finished_at IS NULL ORDER BY shard
