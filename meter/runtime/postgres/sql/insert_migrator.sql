-- The row that migrators take in turns.
INSERT INTO public.metering_migrator (pid) VALUES (NULL) ON CONFLICT DO NOTHING
