-- Up to which account days are added up next, and whether it is the last: no more than so many slots and balances, and the last account
-- whole. No account: there was none. Balances have no index by shard, so those of other shards are passed over.
-- $1 shard int, $2 after account text, $3 lines integer, $4 balances integer, $5 first day date, $6 until day date (not included)
WITH balances AS MATERIALIZED (
    SELECT b.account_id, b.resource, b.shard
    FROM projections.balance_states b
    WHERE b.account_id > $2 COLLATE "C" /*citus AND b.shard = $1 */
    ORDER BY b.account_id
    LIMIT $4::int
), lines AS MATERIALIZED (
    SELECT b.account_id
    FROM balances b
    CROSS JOIN LATERAL (
        SELECT FROM projections.usage_slots u
        WHERE u.shard = b.shard /*citus AND u.shard = $1 */ AND u.account_id = b.account_id AND u.resource = b.resource
          AND u.slot >= ($5::date - 1)::timestamp AT TIME ZONE 'UTC' AND u.slot < ($6::date + 1)::timestamp AT TIME ZONE 'UTC'
        OFFSET 0
    ) AS u
    WHERE b.shard = $1
    ORDER BY b.account_id
    LIMIT $3::int
)
SELECT CASE WHEN l.number = $3::int THEN l.last ELSE b.last END AS upto, l.number < $3::int AND b.number < $4::int AS is_last
FROM (SELECT max(account_id) AS last, count(*) AS number FROM lines) AS l,
     (SELECT max(account_id) AS last, count(*) AS number FROM balances) AS b
