-- How many shards the event store was set up with.
SELECT count(*) FROM meter.shards
