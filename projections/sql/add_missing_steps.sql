-- Give epochs whose published states are not all kept, as from before they were, those that a fold of one event at a time would have
-- published: an epoch is whole with its first state and its last percent.
-- $1 shard int, $2 position bigint, $3 accounts text[] (of each epoch), $4 resources smallint[], $5 epochs int[],
-- $6 positions bigint[], $7 recorded_at timestamptz[], $8 granted text[], $9 bases text[]
WITH epochs AS MATERIALIZED (
    SELECT account_id COLLATE "C" AS account_id, resource, epoch, position, recorded_at, granted::numeric - base::numeric AS allocation,
           base::numeric, lead(position, 1, 9223372036854775807) OVER (PARTITION BY account_id, resource ORDER BY epoch) AS finish
    FROM unnest($3::text[], $4::smallint[], $5::int[], $6::bigint[], $7::timestamptz[], $8::text[], $9::text[])
         AS e (account_id, resource, epoch, position, recorded_at, granted, base)
), cuts AS MATERIALIZED (
    SELECT account_id, resource, array_agg(position ORDER BY epoch) AS positions FROM epochs GROUP BY account_id, resource
), used AS MATERIALIZED (  -- piece n is what the n-th epoch has; 0 is before the first
    SELECT l.account_id COLLATE "C" AS account_id, l.resource, width_bucket(l.position, c.positions) AS piece,
           sum(CASE l.type WHEN {{usage.reversed.v1}} THEN -l.amount ELSE l.amount END) AS amount
    FROM meter.events l
    JOIN cuts c ON c.account_id = l.account_id AND c.resource = l.resource
    WHERE l.shard = $1 AND l.position <= $2 AND l.type IN ({{usage}}, {{usage.reversed.v1}})
    GROUP BY 1, 2, 3
), pieces AS (
    SELECT c.account_id, c.resource, n.piece,
           coalesce(sum(u.amount) OVER (PARTITION BY c.account_id, c.resource ORDER BY n.piece), 0) AS total
    FROM cuts c
    CROSS JOIN LATERAL generate_series(0, cardinality(c.positions)) AS n (piece)
    LEFT JOIN used u ON u.account_id = c.account_id AND u.resource = c.resource AND u.piece = n.piece
), ends AS (
    SELECT e.account_id, e.resource, e.epoch, e.position AS start, floor((p.total - e.base) * 100 / nullif(e.allocation, 0)) AS percent
    FROM (SELECT *, row_number() OVER (PARTITION BY account_id, resource ORDER BY epoch) AS piece FROM epochs) AS e
    JOIN pieces p ON p.account_id = e.account_id AND p.resource = e.resource AND p.piece = e.piece
    WHERE e.position < e.finish
), kept AS (
    SELECT DISTINCT ON (account_id, resource, epoch) account_id, resource, epoch,
           min(position) OVER (PARTITION BY account_id, resource, epoch) AS first,
           floor(consumed * 100 / nullif(allocation, 0)) AS percent
    FROM projections.exhaustion_steps
    WHERE shard = $1 AND position <= $2
    ORDER BY account_id, resource, epoch, position DESC
), lacking AS MATERIALIZED (
    SELECT e.account_id, e.resource, e.epoch
    FROM ends e
    LEFT JOIN kept k USING (account_id, resource, epoch)
    WHERE k.first IS DISTINCT FROM e.start OR k.percent IS DISTINCT FROM e.percent
), moves AS (
    -- Of the accounts that lack something alone: usually none. Else all that was ever used would be sorted.
    SELECT l.account_id COLLATE "C" AS account_id, l.resource, l.position, l.recorded_at,
           CASE l.type WHEN {{usage.reversed.v1}} THEN -l.amount ELSE l.amount END AS amount
    FROM (SELECT DISTINCT account_id, resource FROM lacking) AS n
    JOIN meter.events l ON l.account_id = n.account_id AND l.resource = n.resource
    WHERE l.shard = $1 AND l.position <= $2 AND l.type IN ({{usage}}, {{usage.reversed.v1}})
    UNION ALL
    SELECT account_id, resource, position, recorded_at, 0 FROM epochs
), points AS (
    SELECT account_id, resource, position, sum(amount) AS amount, max(recorded_at) AS recorded_at
    FROM moves
    GROUP BY account_id, resource, position
), totals AS (
    SELECT account_id, resource, position, sum(amount) OVER run AS total, max(recorded_at) OVER run AS at
    FROM points
    WINDOW run AS (PARTITION BY account_id, resource ORDER BY position)
), states AS MATERIALIZED (
    SELECT t.account_id, t.resource, t.position, e.epoch, e.position AS start, e.allocation, t.total - e.base AS consumed, t.at,
           floor((t.total - e.base) * 100 / nullif(e.allocation, 0)) AS percent
    FROM totals t
    JOIN epochs e ON e.account_id = t.account_id AND e.resource = t.resource AND t.position >= e.position AND t.position < e.finish
), turns AS (
    SELECT s.*, lag(s.percent) OVER (PARTITION BY s.account_id, s.resource, s.epoch ORDER BY s.position) AS before
    FROM states s
    JOIN lacking k ON k.account_id = s.account_id AND k.resource = s.resource AND k.epoch = s.epoch
)
INSERT INTO projections.exhaustion_steps (shard, account_id, resource, position, epoch, allocation, consumed, at)
SELECT $1, account_id, resource, position, epoch, allocation, consumed, at
FROM turns
WHERE position = start OR percent IS DISTINCT FROM before
ON CONFLICT (shard, account_id, resource, position) DO NOTHING
RETURNING 1
