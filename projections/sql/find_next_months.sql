-- Up to which account months are summed up next, and whether it is the last: no more than so many lines of days, and the last account
-- whole. No account: there was none.
-- $1 shard int, $2 after account text, $3 lines integer
SELECT max(account_id) AS upto, count(*) < $3::int AS is_last
FROM (
    SELECT account_id FROM projections.usage_totals
    WHERE shard = $1 AND account_id > $2 COLLATE "C"
    ORDER BY account_id
    LIMIT $3::int
) AS n
