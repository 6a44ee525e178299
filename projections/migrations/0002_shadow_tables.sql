-- Where a rebuild collects what it computes, before it is compared with the read models and takes their place.
-- Unlogged: what a crash leaves behind is thrown away by the next rebuild.
CREATE UNLOGGED TABLE projections.rebuilt_balances (LIKE projections.balance_states);
CREATE UNLOGGED TABLE projections.rebuilt_accounts (LIKE projections.account_states);

-- Parts: one row per key and range of positions, added up when the shard is complete.
CREATE UNLOGGED TABLE projections.rebuilt_usage (LIKE projections.usage_days);
