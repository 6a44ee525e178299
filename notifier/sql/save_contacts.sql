-- Keep contacts as they are now.
-- $1 shards int[], $2 account_ids text[], $3 contacts text[], $4 contact_ids uuid[], $5 are contacts boolean[],
-- $6 are refused boolean[]
INSERT INTO notifier.contacts (shard, account_id, contact, contact_id, is_contact, refused)
SELECT shard, account_id, contact, contact_id, is_contact, refused
FROM unnest($1::int[], $2::text[], $3::text[], $4::uuid[], $5::boolean[], $6::boolean[])
    AS new (shard, account_id, contact, contact_id, is_contact, refused)
ON CONFLICT (shard, account_id, contact) DO UPDATE SET is_contact = excluded.is_contact, refused = excluded.refused
