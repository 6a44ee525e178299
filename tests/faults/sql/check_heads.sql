-- Shards that do not stand where their last batch ends.
SELECT s.shard
FROM meter.shards s
LEFT JOIN LATERAL (SELECT * FROM meter.batches b WHERE b.shard = s.shard ORDER BY b.batch DESC LIMIT 1) b ON true
WHERE (s.usage_offset, s.accounts_offset, s.next_position - 1, s.next_batch - 1)
      <> (coalesce(b.usage_to, 0), coalesce(b.accounts_to, 0), coalesce(b.last_position, 0), coalesce(b.batch, 0))
   OR s.head <> coalesce(b.hash, decode(repeat('00', 32), 'hex'))
ORDER BY s.shard
