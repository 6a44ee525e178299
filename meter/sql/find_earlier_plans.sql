-- The last plan that these accounts were given before a position of theirs.
-- $1 shard int, $2 accounts text[], $3 positions bigint[]
SELECT a.account_id, l.name AS plan
FROM unnest($2::text[], $3::bigint[]) AS a (account_id, position)
CROSS JOIN LATERAL (
    SELECT e.name FROM meter.events e
    WHERE e.shard = $1 AND e.account_id = a.account_id AND e.position < a.position
      AND e.type = {{account.plan_changed.v1}}
    ORDER BY e.position DESC LIMIT 1
) AS l
