-- Distribute the event log by shard; all other tables follow it, a shard's rows on one node.
-- $1 table text, $2 parts int
SELECT create_distributed_table($1::text::regclass, 'shard', colocate_with := 'none', shard_count := $2)
