-- credit_support reads everything, contacts among it, and notes replays of rejections. Credits are added through Kafka.
DO $$
BEGIN
    GRANT USAGE ON SCHEMA meter, projections, notifier TO credit_support;
    GRANT SELECT ON ALL TABLES IN SCHEMA meter, projections, notifier TO credit_support;
    GRANT INSERT (rejection_id, replayed_by, replayed_at) ON meter.replays TO credit_support;
END
$$
