-- What is kept of an account that nobody opened, in micro-units: granted and used of each resource, and by how many events.
-- $1 shard int, $2 account text
SELECT s.resource, s.granted::numeric AS granted, s.consumed::numeric AS used,
       (SELECT count(*) FROM meter.events e
        WHERE e.shard = $1 AND e.account_id = $2 AND e.type IN ({{credits.granted.v1}}, {{credits.revoked.v1}})
          AND e.resource = s.resource) AS grants,
       (SELECT coalesce(sum(u.events), 0)::bigint FROM projections.usage_slots u
        WHERE u.shard = $1 AND u.account_id = $2 AND u.resource = s.resource) AS uses
FROM projections.balance_states s
WHERE s.account_id = $2 /*citus AND s.shard = $1 */ AND NOT s.opened
ORDER BY s.resource
