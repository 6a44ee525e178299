-- Distribute a table by shard: its rows of a shard lie on the node that has the shard's events.
-- $1 table text
SELECT create_distributed_table($1::text::regclass, 'shard', colocate_with := 'meter.events')
