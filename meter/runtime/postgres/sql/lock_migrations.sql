-- One migrator at a time; the lock is the session's and goes with the connection. It is not waited for: a statement that
-- waits has a snapshot, and the migrator that builds an index waits for all older snapshots.
-- $1 key bigint
SELECT pg_try_advisory_lock($1);
