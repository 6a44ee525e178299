-- What is left of the addresses and names of an account, and of the owners of its items, for the services to take out.
-- $1 shard int, $2 account text
SELECT EXISTS (SELECT 1 FROM meter.keys WHERE shard = $1 AND account_id = $2 AND key IS NULL) AS forgotten,
       EXISTS (SELECT 1 FROM meter.keys WHERE shard = $1 AND account_id = $2 AND cleared_at IS NOT NULL) AS refused_cleared,
       (SELECT count(*) FROM projections.account_states
        WHERE account_id = $2 AND (display_name IS NOT NULL OR coalesce(contacts, '[]') <> '[]' OR contact_ids <> '[]'))
           + (SELECT count(*) FROM projections.items WHERE shard = $1 AND account_id = $2 AND owner IS NOT NULL)
           AS read_models,
       (SELECT count(*) FROM notifier.contacts WHERE shard = $1 AND account_id = $2 AND contact <> contact_id::text)
       + (SELECT count(*) FROM notifier.emails e WHERE shard = $1 AND account_id = $2
          AND (message IS NOT NULL OR recipient LIKE '%@%')) AS letters,
       (SELECT count(*) FROM meter.outbox WHERE key = convert_to($2, 'UTF8')) AS on_the_way
