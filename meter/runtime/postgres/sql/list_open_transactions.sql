-- Sessions on this database with a transaction open, the oldest first, without this one.
SELECT pid, application_name, extract(epoch FROM clock_timestamp() - xact_start)::int AS age_s
FROM pg_stat_activity
WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid() AND backend_type = 'client backend'
ORDER BY xact_start
LIMIT 5
