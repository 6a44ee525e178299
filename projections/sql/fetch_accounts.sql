-- The accounts, to be folded further.
-- $1 accounts text[], $2 their shards int[]
SELECT account_id, shard, plan, display_name, contacts::text AS contacts, opened_at, position, as_of,
       time_zone, closed, contact_ids::text AS contact_ids, forgotten
FROM projections.account_states
WHERE account_id = ANY($1::text[]) AND shard = ANY($2::int[])
