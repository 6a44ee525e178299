-- For one transaction that reads ranges of positions: along the primary key, in which they lie together. Of a whole shard the planner
-- may hold that reading all shards is as cheap, or that pages are read one by one anyway: by a third slower when they are cached.
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)
