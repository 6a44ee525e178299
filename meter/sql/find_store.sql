-- Whether the event store is set up.
SELECT to_regclass('meter.shards') IS NOT NULL
