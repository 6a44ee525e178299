-- For this session: read the catalogue without the filter by which Citus hides the parts of tables. With the filter, the driver's
-- question about a type takes seconds, and it asks for each statement that has an array. And Citus has to know the arguments
-- of a statement when it plans it, to see which node they are about.
SELECT set_config('citus.override_table_visibility', 'off', false), set_config('plan_cache_mode', 'auto', false)
