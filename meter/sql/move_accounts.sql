-- Give everything that an account has to its new shard. What stands at an offset of Kafka stays in the partition where it was read,
-- and so do batches. The guards against changes are off for this transaction, which holds their tables.
DO $$
DECLARE
    guarded CONSTANT text[] := ARRAY['meter.events', 'meter.keys', 'meter.openings', 'meter.reversals'];
    owned CONSTANT text[] := ARRAY[
        'meter.events', 'meter.keys', 'meter.openings',
        'projections.account_states', 'projections.balance_states', 'projections.day_names',
        'projections.exhaustion_steps', 'projections.items',
        'projections.usage_days_before', 'projections.usage_slots', 'projections.usage_totals', 'projections.usage_zones',
        'projections.used_items',
        'notifier.accounts', 'notifier.balances', 'notifier.banners', 'notifier.contacts', 'notifier.emails',
        'notifier.line_traces',
        'notifier.notices', 'notifier.recalled', 'notifier.told'];
    name text;
BEGIN
    FOREACH name IN ARRAY guarded LOOP
        EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', name);
    END LOOP;
    -- These name no account: a reversal goes with its event, requests and tries with their letter.
    UPDATE meter.reversals r SET shard = m.to_shard
    FROM meter.events e
    JOIN meter.moving m ON m.shard = e.shard AND m.account_id = e.account_id
    WHERE e.shard = r.shard AND e.position = r.position;
    UPDATE notifier.retry_requests r SET shard = m.to_shard
    FROM notifier.emails e
    JOIN meter.moving m ON m.shard = e.shard AND m.account_id = e.account_id
    WHERE e.email_id = r.email_id AND r.shard = m.shard;
    UPDATE notifier.email_attempts t SET shard = m.to_shard
    FROM notifier.emails e
    JOIN meter.moving m ON m.shard = e.shard AND m.account_id = e.account_id
    WHERE e.email_id = t.email_id;
    -- Sums of months do not count in a new shard: the usage service makes them anew from the days, which move.
    DELETE FROM projections.usage_months u USING meter.moving m WHERE m.shard = u.shard AND m.account_id = u.account_id;
    DELETE FROM projections.usage_day_kinds u USING meter.moving m WHERE m.shard = u.shard AND m.account_id = u.account_id;
    FOREACH name IN ARRAY owned LOOP
        EXECUTE format('UPDATE %s t SET shard = m.to_shard FROM meter.moving m '
                       'WHERE t.shard = m.shard AND t.account_id = m.account_id', name);
    END LOOP;
    FOREACH name IN ARRAY guarded LOOP
        EXECUTE format('ALTER TABLE %s ENABLE TRIGGER USER', name);
    END LOOP;
END
$$
