-- Rejections, newest first, with the number of times each was replayed and why it was dismissed. Of a record without a key the headers
-- and a small value come along: they may say whose it is.
-- $1 reason text or null (any), $2 topic text or null (any), $3 limit bigint, $4 only those never replayed boolean,
-- $5 key text or null (any), $6 dismissed ones too boolean, $7 most bytes of a value int,
-- $8 only those without a key boolean, $9 only those before this number bigint or null
SELECT r.rejection_id, r.topic, r.shard, r.kafka_offset, r.reason, r.detail, r.recorded_at,
       (SELECT count(*) FROM meter.replays p WHERE p.rejection_id = r.rejection_id) AS replays,
       coalesce((SELECT sum(upper(o) - lower(o)) FROM unnest(r.offsets) o), r.to_offset - r.kafka_offset, 1)::bigint
           AS records, d.reason AS dismissed, substr(r.key, 1, $7) AS key,
       CASE WHEN coalesce(octet_length(r.key), 0) = 0 AND octet_length(r.value) <= $7 THEN r.value END AS value,
       CASE WHEN coalesce(octet_length(r.key), 0) = 0 AND octet_length(r.headers::text) <= $7 THEN r.headers::text END AS headers
FROM meter.rejections r
LEFT JOIN meter.dismissals d ON d.shard = r.shard AND d.rejection_id = r.rejection_id
WHERE ($1::text IS NULL OR r.reason = $1) AND ($2::text IS NULL OR r.topic = $2)
  AND CASE WHEN $8 THEN coalesce(octet_length(r.key), 0) = 0 ELSE $5::text IS NULL OR r.key = convert_to($5, 'UTF8') END
  AND ($9::bigint IS NULL OR r.rejection_id < $9)
  AND ($6 OR d.rejection_id IS NULL)
  AND (NOT $4 OR NOT EXISTS (SELECT FROM meter.replays p WHERE p.rejection_id = r.rejection_id))
ORDER BY r.rejection_id DESC
LIMIT $3
