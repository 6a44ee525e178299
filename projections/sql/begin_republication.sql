-- Begin with every shard anew.
INSERT INTO projections.republications (shard, after, begun_at) SELECT DISTINCT shard, '', now() FROM projections.cursors
ON CONFLICT (shard) DO UPDATE SET after = '', accounts = 0, begun_at = excluded.begun_at, finished_at = NULL
