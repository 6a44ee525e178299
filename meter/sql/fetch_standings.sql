-- Of these accounts where they were opened, if they were, and whether they are closed before a position. Closings before the
-- opening have no effect.
-- $1 shard int, $2 accounts text[], $3 first position bigint
SELECT a.account_id, o.position AS opened_at, coalesce(l.type = {{account.closed.v1}}, false) AS closed
FROM unnest($2::text[]) AS a (account_id)
LEFT JOIN meter.openings o ON o.shard = $1 AND o.account_id = a.account_id
LEFT JOIN LATERAL (
    SELECT e.type FROM meter.events e
    WHERE e.shard = $1 AND e.account_id = a.account_id AND e.position < $3 AND e.position > o.position
      AND e.type IN ({{account.closed.v1}}, {{account.reopened.v1}})
    ORDER BY e.position DESC LIMIT 1
) AS l ON true
