-- Accounts with both balances, as the fold would have left them, for the figures of pages.
-- $1 accounts integer, $2 shards integer
WITH opened AS (
    INSERT INTO projections.account_states
        (account_id, shard, plan, display_name, contacts, opened_at, position, as_of, time_zone, closed, contact_ids)
    SELECT 'page-' || i, i % $2, 'free', NULL, '[]', now(), i, now(), 'Europe/Berlin', false, '[]'
    FROM generate_series(1, $1::int) AS i
)
INSERT INTO projections.balance_states
    (account_id, resource, shard, granted, consumed, base, epoch, boundaries, position, as_of, opened, closed, free_only)
SELECT 'page-' || i, r, i % $2, CASE r WHEN 1 THEN 75000000 ELSE 10000000000 END, (i % 75) * 1000000, 0, 1, '{}', i, now(),
       true, false, true
FROM generate_series(1, $1::int) AS i, generate_series(1, 2) AS r
