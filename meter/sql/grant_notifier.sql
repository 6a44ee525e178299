-- credit_notifier keeps banners, notices and letters. It never sees the event store; of the read models it sees how
-- long credits will last, and the names and contacts of accounts.
DO $$
BEGIN
    GRANT USAGE ON SCHEMA notifier TO credit_notifier;
    GRANT SELECT ON ALL TABLES IN SCHEMA notifier TO credit_notifier;
    GRANT UPDATE (next_offset, topic_id) ON notifier.cursors TO credit_notifier;
    GRANT INSERT ON notifier.recalled TO credit_notifier;
    GRANT UPDATE (recalled_at) ON notifier.generations TO credit_notifier;
    GRANT UPDATE (contact) ON notifier.recalled TO credit_notifier;  -- to forget
    GRANT UPDATE (value, detail) ON notifier.rejections TO credit_notifier;  -- to forget
    GRANT INSERT ON notifier.notices, notifier.rejections TO credit_notifier;
    GRANT INSERT, UPDATE ON notifier.accounts, notifier.balances, notifier.contacts, notifier.told, notifier.emails, notifier.thresholds,
          notifier.line_traces
        TO credit_notifier;
    GRANT INSERT, UPDATE, DELETE ON notifier.banners, notifier.email_attempts TO credit_notifier;
    GRANT INSERT, DELETE ON notifier.outbox TO credit_notifier;
    GRANT UPDATE (shard) ON notifier.outbox_shards TO credit_notifier;  -- to lock a row
    GRANT UPDATE (outcome, answered_at) ON notifier.retry_requests TO credit_notifier;
    GRANT USAGE ON SCHEMA projections TO credit_notifier;
    GRANT SELECT ON projections.runway, projections.contacts TO credit_notifier;
END
$$
