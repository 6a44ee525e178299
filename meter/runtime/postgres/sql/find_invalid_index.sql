-- An index whose building was interrupted, with its schema; no row where there is none.
-- $1 name text
SELECT format('%I.%I', n.nspname, c.relname)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = $1::text AND NOT i.indisvalid;
