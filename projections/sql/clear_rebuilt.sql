-- Throw away what a rebuild collected. Names before slots, as the fold of usage locks them: it names both, because a rebuild
-- collects with it, and each would wait for the other.
TRUNCATE projections.rebuilt_balances, projections.rebuilt_accounts, projections.rebuilt_names,
    projections.rebuilt_slots
