-- credit_support reads everything, contacts among it, and notes replays and dismissals of rejections. It
-- asks for letters to be tried again, and does not answer itself. Credits are added through Kafka.
DO $$
BEGIN
    GRANT USAGE ON SCHEMA meter, projections, notifier TO credit_support;
    GRANT SELECT ON ALL TABLES IN SCHEMA meter, projections, notifier TO credit_support;
    GRANT EXECUTE ON FUNCTION projections.contact_id(text, text, text, int) TO credit_support;  -- for projections verify
    GRANT INSERT (rejection_id, replayed_by, replayed_at, landed_shards, landed_offsets) ON meter.replays TO credit_support;
    GRANT INSERT ON meter.dismissals TO credit_support;
    GRANT INSERT (shard, request_id, email_id, requested_by) ON notifier.retry_requests TO credit_support;
    GRANT EXECUTE ON FUNCTION projections.balance(text), projections.shard_of(text, int), projections.shards() TO credit_support;
END
$$
