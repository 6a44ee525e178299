-- How far the months of a shard are that still have to be summed up: from the beginning where there are none yet, or where somebody
-- folded who knows nothing of them (`is_void`). Asked when its cursor is held: another process may have folded, or summed up, until then.
-- $1 shard int, $2 the first day that is not to be summed up date, $3 projection text
SELECT c.shard, c.position,
       CASE WHEN p.position = c.position THEN p.summed ELSE '-infinity' END AS summed,
       CASE WHEN p.position = c.position AND p.upto <> '' THEN p.target ELSE $2::date END AS target,
       CASE WHEN p.position = c.position THEN p.upto ELSE '' END AS upto,
       coalesce(p.position <> c.position, false) AS is_void
FROM projections.cursors c
JOIN projections.usage_days_summed d ON d.shard = c.shard AND d.position = c.position AND d.summed >= $2::date
LEFT JOIN projections.usage_summed p ON p.shard = c.shard
WHERE c.projection = $3 AND c.shard = $1 AND (p.position IS DISTINCT FROM c.position OR p.summed < $2::date)
