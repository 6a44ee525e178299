-- credit_notifier never sees the event store; of the read models it sees how long credits will last.
DO $$
BEGIN
    GRANT USAGE ON SCHEMA notifier TO credit_notifier;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA notifier TO credit_notifier;
    GRANT USAGE ON SCHEMA projections TO credit_notifier;
    GRANT SELECT ON projections.runway TO credit_notifier;
END
$$
