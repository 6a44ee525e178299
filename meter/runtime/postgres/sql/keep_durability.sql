-- A commit that is told is on the disk, whatever the role's defaults say: every role may change its own, for all its sessions to
-- come. What the server's or the database's owner has set stays.
SELECT set_config('synchronous_commit', 'on', false)
FROM pg_catalog.pg_settings
WHERE name = 'synchronous_commit' AND setting IN ('off', 'local') AND source IN ('user', 'database user')
