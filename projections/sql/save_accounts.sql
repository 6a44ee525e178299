-- Accounts that are new or changed.
-- $1 accounts text[], $2 shards int[], $3 plans text[], $4 display names text[], $5 contacts text[] (JSON),
-- $6 opened_at timestamptz[], $7 positions bigint[], $8 as_of timestamptz[], $9 time zones text[], $10 closed boolean[],
-- $11 contact ids text[] (JSON), $12 forgotten boolean[]
INSERT INTO projections.account_states AS s
    (account_id, shard, plan, display_name, contacts, opened_at, position, as_of, time_zone, closed, contact_ids,
     forgotten)
SELECT account_id, shard, plan, display_name, contacts::jsonb, opened_at, position, as_of, time_zone, closed,
       contact_ids::jsonb, forgotten
FROM unnest(
    $1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::bigint[], $8::timestamptz[],
    $9::text[], $10::boolean[], $11::text[], $12::boolean[]
) AS n (account_id, shard, plan, display_name, contacts, opened_at, position, as_of, time_zone, closed, contact_ids,
        forgotten)
ON CONFLICT (/*citus shard, */ account_id) DO UPDATE
SET plan = excluded.plan, display_name = excluded.display_name, contacts = excluded.contacts,
    opened_at = excluded.opened_at, position = excluded.position, as_of = excluded.as_of, time_zone = excluded.time_zone,
    closed = excluded.closed, contact_ids = excluded.contact_ids, forgotten = excluded.forgotten
