-- Have projections send the present state of every account once more, when they run.
INSERT INTO projections.republications (shard, after, begun_at) SELECT shard, '', now() FROM projections.outbox_shards
ON CONFLICT (shard) DO UPDATE SET after = '', accounts = 0, begun_at = excluded.begun_at, finished_at = NULL
