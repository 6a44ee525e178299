-- Where usage has something to fold: how far it is, how far the balances are, how many events they have not folded, and for how many
-- seconds the first event that usage has not folded is stored. Usage goes as far as the balances have come: so the zone of an account
-- is known, the log is known to be whole, and no sum of usage is ahead of a balance.
-- $1 projection text, $2 projection that it follows text
SELECT c.shard, c.position AS after, b.position AS head, s.next_position - 1 - b.position AS unfolded,
       coalesce(extract(epoch FROM clock_timestamp() - e.recorded_at), 0)::double precision AS waits_s
FROM projections.cursors c
JOIN projections.cursors b ON b.projection = $2 AND b.shard = c.shard
JOIN meter.shards s ON s.shard = c.shard
LEFT JOIN meter.events e ON e.shard = c.shard AND e.position = c.position + 1
WHERE c.projection = $1 AND b.position > c.position
ORDER BY c.shard
