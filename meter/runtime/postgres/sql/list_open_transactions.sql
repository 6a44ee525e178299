-- Sessions on this database with a transaction open, the oldest first, without this one. Of another role's sessions Postgres says
-- neither since when nor of which kind they are to a role without pg_read_all_stats: they come last, whatever they do.
SELECT pid, application_name, extract(epoch FROM clock_timestamp() - xact_start)::int AS age_s
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND (xact_start IS NOT NULL AND backend_type = 'client backend' OR backend_type IS NULL)
ORDER BY xact_start NULLS LAST, pid
LIMIT 5
