-- Who migrates now; no row where nobody does.
-- Without pg_read_all_stats Postgres leaves out the address of another role's session, and its backend_type.
SELECT m.pid, a.usename AS role,
    CASE WHEN a.backend_type IS NULL THEN 'a host that this role may not see'
         ELSE coalesce(host(a.client_addr), 'this machine') END AS host
FROM public.metering_migrator m
JOIN pg_stat_activity a ON a.pid = m.pid AND a.datname = current_database()
