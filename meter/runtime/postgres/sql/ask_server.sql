-- Whether the server takes no writes, as a standby or by a setting, and for how many seconds the oldest commit of this role
-- waits for a synchronous standby; which processes of the server are at work for it.
SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean AS reads_only,
       extract(epoch FROM clock_timestamp() - min(query_start) FILTER (WHERE wait_event = 'SyncRep'))::float8 AS waiting_s,
       coalesce(array_agg(pid) FILTER (WHERE state = 'active'), '{}') AS working
FROM pg_stat_activity
WHERE usename = current_user AND datname = current_database()
