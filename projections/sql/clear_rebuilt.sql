-- Throw away what a rebuild collected.
TRUNCATE projections.rebuilt_balances, projections.rebuilt_accounts, projections.rebuilt_slots,
    projections.rebuilt_names
