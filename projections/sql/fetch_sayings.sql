-- What letters told that count as told, but those that the start of a contact's level holds already.
-- $1 shard int
SELECT e.account_id, e.recipient, e.finished_at, s.said ->> 'resource' AS resource, (s.said ->> 'epoch')::int AS epoch,
       (s.said ->> 'line')::int AS line
FROM notifier.emails e
CROSS JOIN LATERAL jsonb_array_elements(e.lines) AS s (said)
WHERE e.shard = $1 AND e.state IN ('accepted', 'presumed') AND NOT e.in_start
ORDER BY e.account_id, e.recipient
