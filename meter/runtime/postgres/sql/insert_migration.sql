-- Record an applied migration, in its own transaction.
-- $1 package text, $2 number int, $3 name text, $4 checksum text
INSERT INTO public.metering_migrations (package, number, name, checksum) VALUES ($1, $2, $3, $4);
