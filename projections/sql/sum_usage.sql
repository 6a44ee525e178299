-- What was used in a range per account, resource and run: cuts, as where events are that are not usage, part what an account used into
-- runs; one begins at each. One shard, named as it is and not in a list, so that the planner knows how many events there are. Cuts are
-- joined by the account alone, of which it knows that none is there twice: then it looks each event's cuts up in a hash table. Else it
-- makes one of all events, or sorts them.
-- $1 shard int, $2 after bigint, $3 upto bigint, $4 accounts text[] (of each cut), $5 positions bigint[]
WITH splits AS MATERIALIZED (
    SELECT account_id, array_agg(position ORDER BY position) AS positions
    FROM unnest($4::text[], $5::bigint[]) AS c (account_id, position)
    GROUP BY account_id
)
SELECT e.account_id COLLATE "C" AS account_id, e.resource, count(*) AS events, projections.total(e.amount) AS amount,
       max(e.position) AS position, max(e.recorded_at) AS as_of
FROM meter.events e
LEFT JOIN splits c ON c.account_id = e.account_id
WHERE e.shard = $1 AND e.position > $2 AND e.position <= $3 AND e.type BETWEEN {{first_usage}} AND {{last_usage}}
GROUP BY 1, 2, coalesce(width_bucket(e.position, c.positions), 0)
