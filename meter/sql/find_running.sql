-- The services that are connected to this database, with how many connections each has.
SELECT application_name, count(*) AS connections
FROM pg_stat_activity
WHERE datname = current_database() AND application_name = ANY (ARRAY['credit-meter', 'credit-projections', 'credit-notifier'])
GROUP BY application_name
ORDER BY application_name
