-- Give every node a copy of a small table.
-- $1 table text
SELECT create_reference_table($1::text::regclass)
