-- What letters told accounts that the database has forgotten.
-- $1 account_ids text[], $2 their shards int[]
SELECT account_id, contact, contact_id, resource, epoch, max(line) AS line
FROM notifier.recalled
WHERE account_id = ANY($1) AND shard = ANY ($2)
GROUP BY account_id, contact, contact_id, resource, epoch
