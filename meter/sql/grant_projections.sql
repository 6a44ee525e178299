-- credit_projections reads the log and keeps the read models. It can make nothing of its own: what it could make would run with
-- the rights of whoever sets up.
DO $$
BEGIN
    GRANT USAGE ON SCHEMA meter, projections TO credit_projections;
    GRANT SELECT ON meter.events, meter.shards, meter.resources, meter.remarks, meter.reversals, meter.keys, meter.moved,
        meter.generations
        TO credit_projections;
    GRANT SELECT ON ALL TABLES IN SCHEMA projections TO credit_projections;
    GRANT INSERT, UPDATE, DELETE ON projections.balance_states, projections.account_states, projections.usage_slots,
        projections.usage_totals, projections.usage_zones, projections.used_items, projections.items,
        projections.usage_months, projections.usage_day_kinds, projections.usage_summed, projections.usage_days_summed
        TO credit_projections;
    GRANT UPDATE (position) ON projections.cursors TO credit_projections;
    GRANT INSERT, DELETE ON projections.day_names, projections.exhaustion_steps TO credit_projections;
    GRANT INSERT, DELETE ON projections.outbox TO credit_projections;
    GRANT INSERT, UPDATE ON projections.republications TO credit_projections;
    GRANT UPDATE (topic_id) ON projections.outbox_shards TO credit_projections;
    GRANT UPDATE (shard) ON projections.outbox_shards, projections.rebuild_shards TO credit_projections;  -- to lock a row
    GRANT INSERT, TRUNCATE ON projections.rebuilt_balances, projections.rebuilt_accounts, projections.rebuilt_slots,
        projections.rebuilt_names TO credit_projections;
    GRANT UPDATE ON projections.rebuilt_slots TO credit_projections;
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA projections TO credit_projections;
END
$$
