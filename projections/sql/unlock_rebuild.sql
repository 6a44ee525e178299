-- Let the next rebuild begin.
SELECT pg_advisory_unlock(7236837, 1)
