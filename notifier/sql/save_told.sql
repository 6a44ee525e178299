-- Keep what contacts were told.
-- $1 shards int[], $2 account_ids text[], $3 contacts text[], $4 resources text[], $5 levels smallint[],
-- $6 lines given up smallint[]
INSERT INTO notifier.told (shard, account_id, resource, contact, level, given_up)
SELECT shard, account_id, resource, contact, level, given_up
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::smallint[])
    AS new (shard, account_id, contact, resource, level, given_up)
ON CONFLICT (shard, account_id, resource, contact) DO UPDATE SET level = excluded.level, given_up = excluded.given_up
