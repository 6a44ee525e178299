-- Up to which account months are summed up next: no more than so many lines of days, and the last account whole. No account: it
-- was the last one.
-- $1 shard int, $2 after account text, $3 lines integer, $4 first day date, $5 until day date (not included)
SELECT max(account_id) AS upto, count(*) AS lines
FROM (
    SELECT account_id FROM projections.usage_totals
    WHERE shard = $1 AND account_id > $2 COLLATE "C" AND day >= $4 AND day < $5
    ORDER BY account_id
    LIMIT $3::int
) AS n
