-- Keep accounts as they are now; contacts arrive as JSON text.
-- $1 account_ids text[], $2 shards int[], $3 positions bigint[], $4 plans text[], $5 display_names text[],
-- $6 contacts text[], $7 are open boolean[], $8 time zones text[], $9 generations int[]
INSERT INTO notifier.accounts (account_id, shard, position, plan, display_name, contacts, is_open, time_zone, generation)
SELECT account_id, shard, position, plan, display_name, contacts::jsonb, is_open, time_zone, generation
FROM unnest($1::text[], $2::int[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::boolean[], $8::text[],
            $9::int[])
    AS new (account_id, shard, position, plan, display_name, contacts, is_open, time_zone, generation)
ON CONFLICT (/*citus shard, */ account_id) DO UPDATE SET
    /*citus -- */ shard = excluded.shard,
    position = excluded.position, plan = excluded.plan,
    display_name = excluded.display_name, contacts = excluded.contacts, is_open = excluded.is_open,
    time_zone = excluded.time_zone, generation = excluded.generation
