-- The name and the contacts of accounts, where the projections keep them; contacts as JSON text.
-- $1 account_ids text[], $2 their shards int[] or null (any)
SELECT account_id, display_name, contacts::text AS contacts
FROM projections.contacts
WHERE account_id = ANY($1) AND ($2::int[] IS NULL OR shard = ANY ($2))
