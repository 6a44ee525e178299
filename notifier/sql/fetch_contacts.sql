-- The contacts of accounts, now and before, with what each was told and their letter that has not ended.
-- Letters and told levels are looked up for each contact: a join with them, or with the accounts, is planned through all rows
-- when the tables are known to be empty, as before the first account. So is a letter by its state: those that wait have an
-- index of their own, in order, and then all of them would be read. A letter has no finished_at before it has ended.
-- $1 account_ids text[], $2 their shards int[]
SELECT c.account_id, c.contact, c.contact_id, c.is_contact, c.refused,
       (SELECT jsonb_build_object('email_id', e.email_id, 'lines', e.lines) FROM notifier.emails e
        WHERE e.shard = c.shard /*citus AND e.shard = ($2::int[])[1] */ AND e.account_id = c.account_id AND e.recipient = c.contact
          AND e.finished_at IS NULL) AS unsent,
       coalesce((
           SELECT jsonb_object_agg(t.resource, jsonb_build_array(t.level, t.given_up)) FROM notifier.told t
           WHERE t.shard = c.shard /*citus AND t.shard = ($2::int[])[1] */ AND t.account_id = c.account_id AND t.contact = c.contact), '{}') AS told
FROM notifier.contacts c
WHERE c.account_id = ANY($1) AND c.shard = ANY ($2) /*citus AND c.shard = $2[1] */
ORDER BY c.account_id, c.contact
