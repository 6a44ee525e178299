-- For this session, which makes tables and gives rights: where the tables are distributed, such statements go over one connection to
-- each node, and the catalogue shows tables, not their parts. Plain Postgres keeps the settings and does nothing with them.
SELECT set_config('citus.multi_shard_modify_mode', 'sequential', false), set_config('citus.override_table_visibility', 'on', false)
