-- One migrator at a time; the lock is the session's and goes with the connection.
-- $1 key bigint
SELECT pg_advisory_lock($1);
