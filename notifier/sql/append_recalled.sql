-- Keep what letters told that the database has forgotten.
-- $1 shards int[], $2 account_ids text[], $3 contacts text[], $4 contact_ids uuid[], $5 resources text[], $6 epochs int[],
-- $7 lines smallint[], $8 email_ids uuid[], $9 ends timestamptz[]
INSERT INTO notifier.recalled (shard, account_id, contact, contact_id, resource, epoch, line, email_id, ended_at)
SELECT shard, account_id, contact, contact_id, resource, epoch, line, email_id, ended_at
FROM unnest($1::int[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::int[], $7::smallint[], $8::uuid[], $9::timestamptz[])
    AS r (shard, account_id, contact, contact_id, resource, epoch, line, email_id, ended_at)
ON CONFLICT DO NOTHING
