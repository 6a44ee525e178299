-- Allocations and what was used of them have no upper end, as in projections: a balance past BIGINT is told like any other.
ALTER TABLE notifier.balances
    ALTER COLUMN allocation TYPE numeric, ALTER COLUMN consumed TYPE numeric;
ALTER TABLE notifier.notices
    ALTER COLUMN allocation TYPE numeric, ALTER COLUMN consumed TYPE numeric;
