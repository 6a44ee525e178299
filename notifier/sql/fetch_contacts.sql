-- The contacts of accounts, now and before, with what each was told and their letter that has not ended.
-- $1 shards int[], $2 account_ids text[]
SELECT a.account_id, c.contact, c.contact_id, c.is_contact, c.refused, e.email_id, coalesce(e.lines, '[]') AS lines,
       coalesce((
           SELECT jsonb_object_agg(t.resource, jsonb_build_array(t.level, t.given_up)) FROM notifier.told t
           WHERE t.shard = a.shard /*citus AND t.shard = $1[1] */ AND t.account_id = a.account_id AND t.contact = c.contact), '{}') AS told
FROM unnest($1::int[], $2::text[]) AS a (shard, account_id)
-- LATERAL with OFFSET 0 keeps to the keys: a plan that was made when the tables were known to be empty
-- goes through all contacts, each time.
CROSS JOIN LATERAL (
    SELECT contact, contact_id, is_contact, refused FROM notifier.contacts l
    WHERE l.shard = a.shard AND l.account_id = a.account_id /*citus AND l.shard = $1[1] */ OFFSET 0
) AS c
LEFT JOIN LATERAL (
    SELECT email_id, lines FROM notifier.emails m
    WHERE m.shard = a.shard /*citus AND m.shard = $1[1] */ AND m.account_id = a.account_id AND m.recipient = c.contact AND m.state = 'queued' OFFSET 0
) AS e ON true
ORDER BY a.account_id, c.contact
