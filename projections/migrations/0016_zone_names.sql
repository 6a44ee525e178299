-- Zones of accounts in IANA's spelling, as the parser takes them: programs that tell capitals apart read another zone, or none.
-- What is no zone of IANA's, or of one program alone (posix/, right/), is none. Days were counted the same way by either spelling.
UPDATE projections.account_states a
SET time_zone = (
    SELECT z.name FROM pg_timezone_names z
    WHERE lower(z.name) = lower(a.time_zone) AND z.name !~ '^(posix|right)/' AND z.name NOT IN ('localtime', 'Factory')
    LIMIT 1)
WHERE a.time_zone IS NOT NULL AND a.time_zone <> 'UTC';

UPDATE projections.usage_zones u
SET time_zone = a.time_zone
FROM projections.account_states a
WHERE a.shard = u.shard AND a.account_id = u.account_id AND lower(a.time_zone) = lower(u.time_zone) AND a.time_zone <> u.time_zone;
