-- What the notifier holds of each contact: what they were told, their letter that has not ended, and whether letters
-- account for what bars another.
-- $1 shard int
SELECT c.account_id, c.contact, c.contact_id, c.is_contact, c.refused, c.joined_at, e.email_id AS unsent,
       coalesce((
           SELECT json_object_agg(t.resource, json_build_object(
               'level', t.level, 'given_up', t.given_up, 'start', json_build_array(t.start_epoch, t.start_level)))
           FROM notifier.told t
           WHERE t.shard = c.shard AND t.account_id = c.account_id AND t.contact = c.contact), '{}')::text AS told,
       c.refused AND NOT EXISTS (
           SELECT FROM notifier.emails x
           WHERE x.shard = c.shard AND x.account_id = c.account_id AND x.recipient = c.contact AND x.state = 'refused'
       ) AS is_barred_by_nothing
FROM notifier.contacts c
LEFT JOIN notifier.emails e
    ON e.shard = c.shard AND e.account_id = c.account_id AND e.recipient = c.contact AND e.state = 'queued'
WHERE c.shard = $1
ORDER BY c.account_id, c.contact
