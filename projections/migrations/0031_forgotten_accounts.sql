-- Whose addresses and names were forgotten, and since when this log has it so, for the history that people see. A view of its own: the console of the
-- version before knows every type of event in projections.account_history, and would not know this one.
CREATE VIEW projections.forgotten_accounts AS
SELECT a.account_id, a.shard, k.forgotten_at AS at
FROM projections.account_states a
JOIN meter.keys k ON k.shard = a.shard AND k.account_id = a.account_id COLLATE "default"  -- that of its key
WHERE k.forgotten_at IS NOT NULL AND a.opened_at IS NOT NULL;
COMMENT ON VIEW projections.forgotten_accounts IS 'accounts whose addresses and names were thrown away for good, and since when this log has it so';
