-- A year of one account with usage in every hour, of each of its items or of one after the other: its days, and the slots of its
-- last three days.
-- $1 account text, $2 items integer, $3 days integer, $4 items in an hour integer
WITH own AS (
    SELECT shard FROM projections.balance_states WHERE account_id = $1 AND resource = 1
), items AS (
    SELECT i, 1 + i % 4 AS kind, CASE i % 4 WHEN 3 THEN 2 ELSE 1 END AS resource, 'item-' || i AS item
    FROM generate_series(0, $2::int - 1) AS i
), hours AS (
    SELECT h, h / 24 AS d, i.*
    FROM generate_series(0, $3::int * 24 - 1) AS h
    JOIN items i ON (i.i - h * $4::int % $2::int + $2::int) % $2::int < $4::int
), days AS (
    INSERT INTO projections.usage_totals
    SELECT shard, $1, (now() AT TIME ZONE 'UTC')::date - d, resource, kind, item, 'eu-1', 'inference', 'ok', count(*),
           count(*) * 1000000, count(*) * 100, count(*) * 10, count(*), now() - d * interval '1 day'
    FROM own, hours
    GROUP BY shard, d, resource, kind, item
), slots AS (
    INSERT INTO projections.usage_slots
    SELECT shard, $1, date_bin('1 hour', now() - h * interval '1 hour', timestamptz '2000-01-01 00:00:00Z'), resource, kind,
           item, 'eu-1', 'inference', 'ok', 1, 1000000, 100, 10, 1, now() - h * interval '1 hour', now()
    FROM own, hours
    WHERE h < 72
)
INSERT INTO projections.used_items (shard, account_id, kind, item, deployment, first_used, position)
SELECT shard, $1, kind, item, 'eu-1', now(), 1 FROM own, items
