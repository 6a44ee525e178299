-- Whether the server takes no writes, as a standby or by a setting; for how many seconds the oldest commit of this role waits for a
-- synchronous standby; which processes of the server are at work for this role; which of anybody's hold rows that were replaced
-- since, each with the number that it holds. Of other roles nobody sees since when.
SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean AS reads_only,
       extract(epoch FROM clock_timestamp()
                          - min(query_start) FILTER (WHERE usename = current_user AND wait_event = 'SyncRep'))::float8 AS waiting_s,
       coalesce(array_agg(pid) FILTER (WHERE usename = current_user AND state = 'active'), '{}') AS working,
       coalesce(array_agg(pid || ' ' || coalesce(backend_xid, backend_xmin)::text)
                FILTER (WHERE usename IS NOT NULL AND pid <> pg_backend_pid()
                          AND coalesce(backend_xid, backend_xmin) IS NOT NULL), '{}') AS holding
FROM pg_stat_activity
WHERE datname = current_database()
