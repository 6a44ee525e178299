-- Give the migrators' lock back.
-- $1 key bigint
SELECT pg_advisory_unlock($1);
