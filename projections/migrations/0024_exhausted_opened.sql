-- An account that nobody opened is in no answer to who is exhausted: usage of made-up accounts would bury those it concerns. Their
-- rows stay, because what was used counts at the opening; projections.unopened_accounts lists them. For every version of projections.
CREATE OR REPLACE VIEW projections.exhausted AS
SELECT s.account_id,
       CASE s.resource WHEN 1 THEN 'model_credits' WHEN 2 THEN 'tool_runs' END AS resource,
       CASE WHEN s.closed THEN 'closed' ELSE 'open' END AS account_state,
       s.as_of, s.shard, s.position
FROM projections.balance_states s
WHERE s.exhausted AND s.opened;
COMMENT ON COLUMN projections.exhausted.account_state IS 'open or closed; ask for open to see whom it concerns';
