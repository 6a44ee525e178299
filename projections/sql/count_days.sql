-- Add up the days of accounts from their slots, as far as those of the shard are, each in the account's zone: a slot never lies in
-- two days.
-- $1 shards int[], $2 accounts text[]
INSERT INTO projections.usage_totals (
    shard, account_id, day, resource, kind, item, deployment, category, status, events, amount, tokens_in, tokens_out, seconds,
    last_used)
SELECT u.shard, u.account_id, (u.slot AT TIME ZONE coalesce(z.time_zone, 'UTC'))::date, u.resource, u.kind, u.item,
       u.deployment, u.category, u.status, sum(u.events), sum(u.amount), sum(u.tokens_in), sum(u.tokens_out), sum(u.seconds),
       max(u.last_used)
FROM unnest($1::int[], $2::text[]) AS n (shard, account_id)
JOIN projections.usage_slots u ON u.shard = n.shard /*citus AND u.shard = $1[1] */ AND u.account_id = n.account_id COLLATE "C"
JOIN projections.usage_days_summed p ON p.shard = n.shard /*citus AND p.shard = $1[1] */
LEFT JOIN projections.usage_zones z ON z.shard = u.shard /*citus AND z.shard = $1[1] */ AND z.account_id = u.account_id
WHERE (u.slot AT TIME ZONE coalesce(z.time_zone, 'UTC'))::date < CASE WHEN u.account_id <= p.upto THEN p.target ELSE p.summed END
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
