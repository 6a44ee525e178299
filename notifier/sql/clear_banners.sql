-- Take banners down.
-- $1 account_ids text[], $2 resources text[], $3 their shard int
DELETE FROM notifier.banners b
USING unnest($1::text[], $2::text[]) AS gone (account_id, resource)
WHERE b.account_id = gone.account_id AND b.resource = gone.resource AND b.shard = $3
