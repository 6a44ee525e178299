-- What became of records that were sent to a shard, in order. Null: not read yet. One row may stand for many records of a batch, so
-- the rows of its batch are looked at; only of a record that is read, so that no other batches are. The position is that of its event in its
-- batch: an event that waited, or moved to another shard since, has none here. Pruned: nobody can say any more.
-- $1 shard int, $2 topic text, $3 kafka offsets bigint[]
SELECT CASE
         WHEN b.shard IS NULL THEN NULL
         WHEN r.rejection_id IS NOT NULL THEN 'rejected'
         WHEN EXISTS (SELECT FROM meter.duplicates d
                      WHERE d.shard = $1 AND d.topic = $2 AND d.kafka_offset BETWEEN b.begin AND p.kafka_offset
                        AND (d.kafka_offset = p.kafka_offset OR d.offsets @> p.kafka_offset)) THEN 'duplicate'
         WHEN EXISTS (SELECT FROM meter.waiting w
                      WHERE w.shard = $1 AND w.topic = $2 AND w.kafka_offset = p.kafka_offset) THEN 'waiting'
         WHEN EXISTS (SELECT FROM meter.rerouted m
                      WHERE m.shard = $1 AND m.topic = $2 AND m.kafka_offset BETWEEN b.begin AND p.kafka_offset
                        AND (m.kafka_offset = p.kafka_offset OR m.offsets @> p.kafka_offset)) THEN 'rerouted'
         WHEN e.position IS NULL
              AND CASE WHEN $2 = 'metering.usage' THEN u.usage_offset ELSE u.accounts_offset END > p.kafka_offset THEN 'pruned'
         ELSE 'stored'
       END AS outcome,
       r.rejection_id, r.reason, r.detail, $1::int AS shard, e.position
FROM unnest($3::bigint[]) WITH ORDINALITY AS p (kafka_offset, number)
LEFT JOIN meter.shards s ON s.shard = $1
LEFT JOIN meter.pruned u ON u.shard = $1
-- Its batch is found by halving: numbers have no gap and offsets only rise, and a replay may be millions of batches ago.
LEFT JOIN LATERAL (
    WITH RECURSIVE halved (low, high) AS (
        SELECT 1::bigint, s.next_batch - 1
        WHERE CASE WHEN $2 = 'metering.usage' THEN s.usage_offset ELSE s.accounts_offset END > p.kafka_offset
        UNION ALL
        SELECT CASE WHEN m.ends THEN h.low ELSE h.middle + 1 END, CASE WHEN m.ends THEN h.middle ELSE h.high END
        FROM (SELECT a.low, a.high, (a.low + a.high) / 2 AS middle FROM halved a WHERE a.low < a.high) h
        CROSS JOIN LATERAL (
            SELECT CASE WHEN $2 = 'metering.usage' THEN c.usage_to ELSE c.accounts_to END > p.kafka_offset AS ends
            FROM meter.batches c
            WHERE c.shard = $1 AND c.batch = h.middle
        ) m
    )
    SELECT x.shard, x.begin, x.first_position, x.last_position
    FROM (SELECT c.shard, c.first_position, c.last_position,
                 CASE WHEN $2 = 'metering.usage' THEN c.usage_from ELSE c.accounts_from END AS begin,
                 CASE WHEN $2 = 'metering.usage' THEN c.usage_to ELSE c.accounts_to END AS beyond
          FROM meter.batches c
          WHERE c.shard = $1 AND c.batch = (SELECT h.low FROM halved h WHERE h.low = h.high)) x
    WHERE x.begin <= p.kafka_offset AND x.beyond > p.kafka_offset
) b ON true
LEFT JOIN LATERAL (
    SELECT j.rejection_id, j.reason, j.detail
    FROM meter.rejections j
    WHERE j.shard = $1 AND j.topic = $2 AND j.kafka_offset BETWEEN b.begin AND p.kafka_offset
      AND (j.kafka_offset = p.kafka_offset OR j.offsets @> p.kafka_offset
           OR (j.offsets IS NULL AND j.to_offset > p.kafka_offset))
    ORDER BY j.kafka_offset DESC LIMIT 1
) r ON true
LEFT JOIN LATERAL (
    SELECT min(v.position) AS position
    FROM meter.events v
    WHERE v.shard = $1 AND v.position BETWEEN b.first_position AND b.last_position AND v.kafka_offset = p.kafka_offset
      AND (v.type IN ({{usage}}, {{item.changed.v1}})) = ($2 = 'metering.usage')
) e ON true
ORDER BY p.number
