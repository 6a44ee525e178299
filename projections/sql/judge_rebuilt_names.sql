-- Of each day of UTC that may have more names than it may have lines for, note the names that fit, and put what a rebuild collected of
-- others into the line "{{other_name}}": as fold_usage.sql has it. These are the days of so many lines; and those whose names are noted
-- already, so that they can be compared. Names of other days the fold finds in their lines when it needs them.
-- $1 shard int
WITH many AS MATERIALIZED (
    SELECT account_id, (slot AT TIME ZONE 'UTC')::date AS day
    FROM projections.rebuilt_slots
    WHERE shard = $1
    GROUP BY 1, 2
    HAVING count(*) > least({{day_names}}, {{day_deployments}})
    UNION
    SELECT account_id, day FROM projections.day_names WHERE shard = $1
), lines AS MATERIALIZED (
    SELECT s.account_id, m.day, s.kind, s.item, s.deployment, s.status, min(s.first_at) AS first_at
    FROM projections.rebuilt_slots s
    JOIN many m ON m.account_id = s.account_id AND m.day = (s.slot AT TIME ZONE 'UTC')::date
    WHERE s.shard = $1
    GROUP BY 1, 2, 3, 4, 5, 6
), names AS (
    -- A name with a deployment or status is noted beside the names, with its kind below 0: it is counted by itself.
    SELECT account_id, day, kind, item, min(first_at) AS first_at
    FROM lines
    GROUP BY 1, 2, 3, 4
    UNION ALL
    SELECT account_id, day, (-kind)::smallint, concat_ws(E'\x1f', item, deployment, status), min(first_at)
    FROM lines
    WHERE deployment <> '' OR status <> ''
    GROUP BY 1, 2, 3, 4
), judged AS MATERIALIZED (
    SELECT account_id, day, kind, item,
           row_number() OVER (PARTITION BY account_id, day, kind > 0 ORDER BY first_at)
               <= CASE WHEN kind > 0 THEN {{day_names}} ELSE {{day_deployments}} END AS fits
    FROM names
), noted AS (
    INSERT INTO projections.rebuilt_names (shard, account_id, day, kind, item)
    SELECT $1, account_id, day, kind, item FROM judged WHERE fits
), beyond AS MATERIALIZED (
    SELECT l.account_id, l.day, l.kind, l.item, l.deployment, l.status, NOT n.fits AS is_beyond
    FROM lines l
    JOIN judged n ON n.account_id = l.account_id AND n.day = l.day AND n.kind = l.kind AND n.item = l.item
    LEFT JOIN judged p
        ON p.account_id = l.account_id AND p.day = l.day AND p.kind = -l.kind
        AND p.item = concat_ws(E'\x1f', l.item, l.deployment, l.status) AND (l.deployment <> '' OR l.status <> '')
    WHERE NOT n.fits OR NOT p.fits
)
UPDATE projections.rebuilt_slots s
SET item = CASE WHEN b.is_beyond THEN '{{other_name}}' ELSE s.item END,
    deployment = CASE WHEN b.is_beyond OR s.deployment = '' THEN '' ELSE '{{other_name}}' END,
    category = CASE WHEN b.is_beyond THEN '' ELSE s.category END,
    status = CASE WHEN b.is_beyond OR s.status = '' THEN '' ELSE '{{other_name}}' END,
    told_at = NULL
FROM beyond b
WHERE s.shard = $1 AND s.account_id = b.account_id AND (s.slot AT TIME ZONE 'UTC')::date = b.day AND s.kind = b.kind
  AND s.item = b.item AND s.deployment = b.deployment AND s.status = b.status
