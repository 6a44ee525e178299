-- Up to which account days are added up next: no more than so many slots, and the last account whole. No account: it was the last one.
-- $1 shard int, $2 after account text, $3 lines integer, $4 first day date, $5 until day date (not included)
SELECT max(n.account_id) AS upto, count(*) AS lines
FROM (
    SELECT b.account_id
    FROM projections.balance_states b
    CROSS JOIN LATERAL (
        SELECT FROM projections.usage_slots u
        WHERE u.shard = b.shard /*citus AND u.shard = $1 */ AND u.account_id = b.account_id AND u.resource = b.resource
          AND u.slot >= ($4::date - 1)::timestamp AT TIME ZONE 'UTC' AND u.slot < ($5::date + 1)::timestamp AT TIME ZONE 'UTC'
        OFFSET 0
    ) AS u
    WHERE b.shard = $1 AND b.account_id > $2 COLLATE "C"
    ORDER BY b.account_id
    LIMIT $3::int
) AS n
