-- For this transaction: where the tables are distributed, statements about rights and owners go over one connection to each node.
-- Plain Postgres keeps the setting and does nothing with it.
SELECT set_config('citus.multi_shard_modify_mode', 'sequential', true)
