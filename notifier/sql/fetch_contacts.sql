-- The contacts of accounts, now and before, with what each was told and their letter that has not ended.
-- $1 shards int[], $2 account_ids text[]
SELECT c.account_id, c.contact, c.contact_id, c.is_contact, c.refused, e.email_id, coalesce(e.lines, '[]') AS lines,
       coalesce((
           SELECT jsonb_object_agg(t.resource, jsonb_build_array(t.level, t.given_up)) FROM notifier.told t
           WHERE t.shard = c.shard /*citus AND t.shard = $1[1] */ AND t.account_id = c.account_id AND t.contact = c.contact), '{}') AS told
FROM unnest($1::int[], $2::text[]) AS a (shard, account_id)
JOIN notifier.contacts c ON c.shard = a.shard AND c.account_id = a.account_id /*citus AND c.shard = $1[1] */
LEFT JOIN notifier.emails e
    ON e.shard = c.shard /*citus AND e.shard = $1[1] */ AND e.account_id = c.account_id AND e.recipient = c.contact AND e.state = 'queued'
ORDER BY c.account_id, c.contact
