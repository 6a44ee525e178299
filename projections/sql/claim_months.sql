-- Hold the cursor of a shard that has months to sum up, all of whose days are added up, and how far they are: from the beginning
-- where somebody folded who knows nothing of months.
-- $1 projection text, $2 the first day of the month that is not to be summed up date, $3 the one shard int or null (any)
SELECT c.shard, c.position,
       CASE WHEN p.position = c.position THEN p.summed ELSE '-infinity' END AS summed,
       CASE WHEN p.position = c.position AND p.upto <> '' THEN p.target ELSE $2::date END AS target,
       CASE WHEN p.position = c.position THEN p.upto ELSE '' END AS upto
FROM projections.cursors c
JOIN projections.usage_days_summed d ON d.shard = c.shard AND d.position = c.position AND d.summed >= $2::date
LEFT JOIN projections.usage_summed p ON p.shard = c.shard
WHERE c.projection = $1 AND (p.position IS DISTINCT FROM c.position OR p.summed < $2::date)
  AND ($3::int IS NULL OR c.shard = $3) /*citus AND c.shard = $3 AND d.shard = $3 */
ORDER BY random()
LIMIT 1
FOR UPDATE OF c SKIP LOCKED
