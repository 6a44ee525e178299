-- What was left out of the event of one record.
-- $1 shard int, $2 topic text, $3 kafka offset bigint
SELECT field, reason FROM meter.remarks WHERE shard = $1 AND topic = $2 AND kafka_offset = $3 ORDER BY field
