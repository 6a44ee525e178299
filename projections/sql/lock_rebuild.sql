-- One rebuild at a time: the session keeps the lock until it ends.
SELECT pg_try_advisory_lock(7236837, 1)
