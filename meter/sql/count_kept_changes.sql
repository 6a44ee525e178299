-- How many changes of plan, name, time zone and contacts came for an account.
-- $1 shard int, $2 account text
SELECT count(*) FROM meter.events
WHERE shard = $1 AND account_id = $2
  AND type IN ({{account.plan_changed.v1}}, {{account.renamed.v1}}, {{account.contacts_changed.v1}})
