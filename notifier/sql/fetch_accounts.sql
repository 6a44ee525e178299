-- What is known of accounts.
-- $1 account_ids text[], $2 their shards int[] or null (any)
SELECT account_id, shard, position, plan, display_name, is_open, time_zone, generation,
       ARRAY(SELECT jsonb_array_elements_text(contacts)) AS contacts
FROM notifier.accounts
WHERE account_id = ANY($1) AND ($2::int[] IS NULL OR shard = ANY ($2))
