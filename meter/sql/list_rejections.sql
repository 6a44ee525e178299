-- Rejections, newest first, with the number of times each was replayed.
-- $1 reason text or null (any), $2 topic text or null (any), $3 limit bigint, $4 only those never replayed boolean,
-- $5 account text or null (any)
SELECT r.rejection_id, r.topic, r.shard, r.kafka_offset, r.reason, r.detail, r.recorded_at, count(p.replay_id) AS replays,
       coalesce(r.to_offset - r.kafka_offset, 1) AS records
FROM meter.rejections r
LEFT JOIN meter.replays p USING (rejection_id)
WHERE ($1::text IS NULL OR r.reason = $1) AND ($2::text IS NULL OR r.topic = $2)
  AND ($5::text IS NULL OR r.key = convert_to($5, 'UTF8'))
GROUP BY r.rejection_id
HAVING NOT $4 OR count(p.replay_id) = 0
ORDER BY r.rejection_id DESC
LIMIT $3
