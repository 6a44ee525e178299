-- What has been applied for a package.
-- $1 package text
SELECT number, checksum FROM public.metering_migrations WHERE package = $1 ORDER BY number;
