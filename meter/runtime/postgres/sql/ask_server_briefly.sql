-- What `ask_server` says of a server on which nothing waits and nothing holds rows back: whether it takes no writes.
SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean AS reads_only,
       NULL::float8 AS waiting_s,
       '{}'::int[] AS working,
       '{}'::text[] AS holding
