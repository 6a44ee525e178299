-- credit_notifier never sees the event store.
DO $$
BEGIN
    GRANT USAGE ON SCHEMA notifier TO credit_notifier;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA notifier TO credit_notifier;
END
$$
