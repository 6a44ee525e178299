-- Add the usage of ranges to its slots, to the days of the accounts and to the items that were used. How many events it was.
-- A reversal that the meter links to the usage it takes back is taken from the line of that usage, in the slot of the reversal.
-- $1 shards int[], $2 after bigint[], $3 upto bigint[]
WITH events AS (
    SELECT e.shard, e.account_id COLLATE "C" AS account_id,
           date_bin('15 minutes', e.occurred_at, timestamptz '2000-01-01 00:00:00Z') AS slot, e.resource,
           coalesce(o.type, e.type) AS kind, coalesce(o.name, e.name) COLLATE "C" AS item,
           coalesce(o.data, e.data) AS data, e.type <= {{last_usage}} AS used, e.amount, e.position, e.occurred_at
    FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS r (shard, after, upto)
    -- LATERAL with OFFSET 0 keeps to the primary key: else statistics of a large log lead to reading all of it.
    CROSS JOIN LATERAL (
        SELECT shard, account_id, occurred_at, resource, type, name, data, amount, position
        FROM meter.events l
        WHERE l.shard = r.shard AND l.position > r.after AND l.position <= r.upto
          AND (l.type BETWEEN {{first_usage}} AND {{last_usage}} OR l.type = {{usage.reversed.v1}}) OFFSET 0
    ) AS e
    LEFT JOIN LATERAL (
        SELECT u.type, u.name, u.data
        FROM meter.reversals v
        JOIN meter.events u ON u.shard = v.shard AND u.position = v.reverses
        WHERE e.type = {{usage.reversed.v1}} AND v.shard = e.shard AND v.position = e.position OFFSET 0
    ) AS o ON e.type = {{usage.reversed.v1}}
), lines AS (
    SELECT shard, account_id, slot, resource, kind, item, used, amount, position, occurred_at,
           {{read_data}}(data) AS data
    FROM events
    OFFSET 0  -- the data are read once, not once per field
), slots AS MATERIALIZED (
    SELECT shard, account_id, slot, resource, kind, item,
           coalesce(projections.read_text(data -> 'deployment', {{deployment_chars}}), '') COLLATE "C" AS deployment,
           coalesce(projections.read_text(data -> 'category', {{status_chars}}), '') COLLATE "C" AS category,
           coalesce(projections.read_text(data -> 'status', {{status_chars}}), '') COLLATE "C" AS status,
           count(*) FILTER (WHERE used) AS events, sum(CASE WHEN used THEN amount ELSE -amount END) AS amount
    FROM lines
    GROUP BY shard, account_id, slot, resource, kind, item, deployment, category, status
)
SELECT 1
