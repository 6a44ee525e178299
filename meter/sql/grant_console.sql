-- credit_console sees the views that pages for people are made of, and no address.
DO $$
BEGIN
    GRANT USAGE ON SCHEMA projections, notifier TO credit_console;
    GRANT SELECT ON projections.balances, projections.accounts, projections.usage_by_day, projections.usage_by_slot,
        projections.usage_by_own_day, projections.usage_months_until, projections.usage_by_own_month,
        projections.usage_by_day_and_kind, projections.usage_as_of, projections.balances_as_of, projections.catalogue,
        projections.runway, projections.account_history, projections.forgotten_accounts,
        projections.exhaustion_history TO credit_console;
    GRANT SELECT ON notifier.shown_banners, notifier.notice_history, notifier.letter_history,
        notifier.lines_in_force TO credit_console;
    GRANT EXECUTE ON FUNCTION projections.balance(text), projections.shard_of(text, int), projections.shards() TO credit_console;
END
$$
