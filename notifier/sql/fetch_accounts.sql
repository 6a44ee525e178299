-- What is known of accounts.
-- $1 account_ids text[]
SELECT account_id, shard, position, plan, display_name, is_open, time_zone, generation,
       ARRAY(SELECT jsonb_array_elements_text(contacts)) AS contacts
FROM notifier.accounts
WHERE account_id = ANY($1)
