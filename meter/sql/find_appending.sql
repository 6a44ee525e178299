-- The transactions that append to a shard now: the first they do is to move its offsets on, and the lock that an UPDATE takes on the
-- table is kept until the end. On Citus, too: all of them pass through the coordinator, whose table is locked as well.
SELECT DISTINCT virtualtransaction
FROM pg_catalog.pg_locks
WHERE relation = 'meter.shards'::regclass AND mode = 'RowExclusiveLock' AND granted
  AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
