-- How many shards the event store was set up with. Topics that were grown have cursors of further partitions; the topics'
-- recorded number is that of the first setup.
SELECT coalesce((SELECT max(partitions) FROM meter.topics), (SELECT count(*) FROM meter.shards))
