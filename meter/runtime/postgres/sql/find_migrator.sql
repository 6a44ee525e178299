-- Who migrates now; no row where nobody does.
SELECT m.pid, a.usename AS role, coalesce(a.client_addr::text, 'this machine') AS host
FROM public.metering_migrator m
JOIN pg_stat_activity a ON a.pid = m.pid AND a.datname = current_database()
