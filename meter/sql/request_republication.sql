-- Have projections send the present state of every account once more, when they run.
INSERT INTO projections.republications (shard, after) SELECT shard, '' FROM projections.outbox_shards
ON CONFLICT (shard) DO UPDATE SET after = '', accounts = 0, begun_at = now(), finished_at = NULL
