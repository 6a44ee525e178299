-- For this session: read the catalogue without the filter by which Citus hides the parts of tables. With the filter, the driver's
-- question about a type takes seconds, and it asks for each statement that has an array.
SELECT set_config('citus.override_table_visibility', 'off', false)
