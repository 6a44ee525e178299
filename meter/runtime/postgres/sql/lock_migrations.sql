-- One migrator at a time: the row names the process of the session, and is free once that has ended. Its number may then be that of
-- any other session, a service's too: a migrator has our application's name. No transaction stays open meanwhile: the migrator
-- that builds an index waits for all older snapshots.
UPDATE public.metering_migrator SET pid = pg_backend_pid()
WHERE pid IS NULL OR pid = pg_backend_pid()
   OR pid NOT IN (SELECT a.pid FROM pg_stat_activity a
                  WHERE a.datname = current_database() AND a.application_name = current_setting('application_name'))
RETURNING true;
