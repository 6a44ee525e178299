-- The tables that Citus does not have yet, the log first; those without a shard are small, and every node gets a copy. So does meter.moved,
-- which says which shards go together.
SELECT format('%I.%I', n.nspname, c.relname) AS name, a.attnum IS NOT NULL AS has_shard
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = 'shard' AND NOT a.attisdropped
    AND c.relname <> 'moved'
WHERE n.nspname IN ('meter', 'projections', 'notifier') AND c.relkind = 'r'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_dist_partition p WHERE p.logicalrelid = c.oid)
ORDER BY n.nspname = 'meter' AND c.relname = 'events' DESC, a.attnum IS NOT NULL, n.nspname, c.relname
