-- Throw away what a rebuild collected. Each table by itself: the fold of usage locks two of them, because a rebuild collects
-- with it, and a backup all of them, each in its own order.
TRUNCATE projections.rebuilt_accounts
