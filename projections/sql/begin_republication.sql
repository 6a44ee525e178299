-- Begin with every shard anew.
INSERT INTO projections.republications (shard, after) SELECT DISTINCT shard, '' FROM projections.cursors
ON CONFLICT (shard) DO UPDATE SET after = '', accounts = 0, begun_at = now(), finished_at = NULL
