-- Hold the cursor of a shard that may have months to sum up, and whose days are added up so far.
-- $1 projection text, $2 the first day that is not to be summed up date, $3 the one shard int or null (any)
SELECT c.shard
FROM projections.cursors c
JOIN projections.usage_days_summed d ON d.shard = c.shard AND d.position = c.position AND d.summed >= $2::date
LEFT JOIN projections.usage_summed p ON p.shard = c.shard
WHERE c.projection = $1 AND (p.position IS DISTINCT FROM c.position OR p.summed < $2::date)
  AND ($3::int IS NULL OR c.shard = $3) /*citus AND c.shard = $3 AND d.shard = $3 */
ORDER BY random()
LIMIT 1
FOR UPDATE OF c SKIP LOCKED
