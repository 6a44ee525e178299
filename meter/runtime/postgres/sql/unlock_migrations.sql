-- Let the next migrator begin.
UPDATE public.metering_migrator SET pid = NULL WHERE pid = pg_backend_pid();
