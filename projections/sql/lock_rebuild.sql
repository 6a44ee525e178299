-- One rebuild at a time: the session keeps the lock until it gives it back or ends.
SELECT pg_try_advisory_lock(7236837, 1)
