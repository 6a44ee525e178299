-- By what the database compares text, and the versions of that: when the database was made and now, as far as they are known. The
-- name is in another column in each version of Postgres.
SELECT d.datname AS database, d.datlocprovider = 'b' AS is_builtin, d.datcollversion AS made_with,
       pg_database_collation_actual_version(d.oid) AS now_has,
       coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', d.datcollate) AS locale
FROM pg_database d
WHERE d.datname = current_database()
