-- For how many ms a statement of this session may run; 0: without a limit.
SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'statement_timeout'
