-- Zones that days are counted in and that are not those of the accounts. An account that changed further on than usage has
-- come is not looked at.
-- $1 shard int, $2 position bigint
SELECT account_id, 'time zone of its days' AS what, to_jsonb(z.time_zone)::text AS stored, to_jsonb(a.time_zone)::text AS log
FROM (SELECT account_id, time_zone FROM projections.usage_zones WHERE shard = $1) AS z
FULL JOIN (
    SELECT account_id, position, CASE WHEN time_zone IN (SELECT name FROM pg_timezone_names) THEN time_zone END AS time_zone
    FROM projections.account_states
    WHERE shard = $1
) AS a USING (account_id)
WHERE z.time_zone IS DISTINCT FROM a.time_zone AND coalesce(a.position, 0) <= $2
ORDER BY 1
