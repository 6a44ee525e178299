-- Record which shards' batches the events of each new shard are in. Returns the digest that the hash of its next batch covers.
-- $1 shards before int
WITH new AS (
    SELECT s.shard, s.next_batch, o.shard AS origin, o.next_position - 1 AS upto
    FROM meter.shards s
    JOIN meter.shards o ON o.shard = s.shard % $1
    WHERE s.shard >= $1
), recorded AS (
    INSERT INTO meter.moved (shard, origin, upto, batch)
    SELECT shard, origin, upto, next_batch FROM new
    UNION ALL
    -- What the origin itself had from another shard, by an earlier move.
    SELECT new.shard, m.origin, m.upto, new.next_batch FROM new JOIN meter.moved m ON m.shard = new.origin
    RETURNING shard, origin, upto, batch
)
SELECT r.shard, sha256(string_agg(record_send(ROW(r.shard, r.origin, r.upto, r.batch)), ''::bytea ORDER BY r.origin)) AS digest
FROM recorded r
GROUP BY r.shard
