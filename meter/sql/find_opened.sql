-- Which of these accounts are open already. Of the events, by the index events_of_account: meter.openings does not have what a meter
-- of before that table stored beside the setup that made it.
-- $1 shard int, $2 accounts text[]
SELECT DISTINCT account_id FROM meter.events WHERE shard = $1 AND account_id = ANY ($2::text[]) AND type = {{account.opened.v1}}
