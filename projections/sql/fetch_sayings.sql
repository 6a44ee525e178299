-- What letters told that count as told, but those that the start of a contact's level holds already.
-- $1 shard int
SELECT e.account_id, e.recipient, e.finished_at, s.said ->> 'resource' AS resource, (s.said ->> 'epoch')::int AS epoch,
       (s.said ->> 'line')::int AS line
FROM notifier.emails e
CROSS JOIN LATERAL jsonb_array_elements(e.lines) AS s (said)
WHERE e.shard = $1 AND e.state IN ('accepted', 'presumed') AND NOT e.in_start
UNION ALL
-- Of letters that a restore made the database forget: in the epochs that have begun again.
SELECT r.account_id, coalesce(c.contact, r.contact), r.ended_at, r.resource, r.epoch, r.line
FROM notifier.recalled r
-- Kept by the id where the address was not known; who has the id again has the address.
LEFT JOIN notifier.contacts c
    ON r.contact = r.contact_id::text AND c.shard = r.shard AND c.account_id = r.account_id AND c.contact_id = r.contact_id
JOIN notifier.balances b ON b.shard = r.shard AND b.account_id = r.account_id AND b.resource = r.resource AND b.epoch >= r.epoch
WHERE r.shard = $1
ORDER BY 1, 2
