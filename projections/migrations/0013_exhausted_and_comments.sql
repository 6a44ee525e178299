-- Who is exhausted: answered by an index on a flag that changes only when it turns. Updates of balances between two turns
-- touch no indexed column and stay HOT. The shard stands in front, as in every key.
ALTER TABLE projections.balance_states
    ADD COLUMN exhausted boolean NOT NULL GENERATED ALWAYS AS (epoch = 0 OR granted <= consumed) STORED;
CREATE INDEX balance_states_exhausted ON projections.balance_states (shard, account_id) WHERE exhausted;

CREATE VIEW projections.exhausted AS
SELECT s.account_id,
       CASE s.resource WHEN 1 THEN 'model_credits' WHEN 2 THEN 'tool_runs' END AS resource,
       CASE WHEN s.closed THEN 'closed' WHEN s.opened THEN 'open' ELSE 'not_opened' END AS account_state,
       s.as_of, s.shard, s.position
FROM projections.balance_states s
WHERE s.exhausted;

COMMENT ON VIEW projections.exhausted IS 'balances of which nothing is left (status exhausted), found by an index';
COMMENT ON COLUMN projections.exhausted.account_id IS 'the account, as in the CloudEvents subject';
COMMENT ON COLUMN projections.exhausted.resource IS 'model_credits or tool_runs';
COMMENT ON COLUMN projections.exhausted.account_state IS 'not_opened, open or closed; ask for open to see whom it concerns';
COMMENT ON COLUMN projections.exhausted.as_of IS 'when the last event in it was recorded; with time zone';
COMMENT ON COLUMN projections.exhausted.shard IS 'Kafka partition and shard of the account';
COMMENT ON COLUMN projections.exhausted.position IS 'position in the shard''s log of the last event in it';

COMMENT ON VIEW projections.balances IS 'what each account has of each resource; amounts in credits or runs, exact to six decimals';
COMMENT ON COLUMN projections.balances.account_id IS 'the account, as in the CloudEvents subject';
COMMENT ON COLUMN projections.balances.resource IS 'model_credits or tool_runs';
COMMENT ON COLUMN projections.balances.allocation IS 'credits or runs of the current epoch; 0 before the opening';
COMMENT ON COLUMN projections.balances.consumed IS 'credits or runs used of the allocation';
COMMENT ON COLUMN projections.balances.remaining IS 'allocation less consumed, in credits or runs; negative when overdrawn';
COMMENT ON COLUMN projections.balances.exhaustion IS
    'percent of the allocation that is consumed, two decimals, rounded down; NULL in epoch 0';
COMMENT ON COLUMN projections.balances.status IS 'good (above 75 % left), moderate, low (below 25 % left) or exhausted';
COMMENT ON COLUMN projections.balances.allowed IS 'whether the platform may spend it: the account is open and something is left';
COMMENT ON COLUMN projections.balances.epoch IS 'number of the allocation; 0 before the opening or the first grant';
COMMENT ON COLUMN projections.balances.lifetime_granted IS 'credits or runs that were ever granted';
COMMENT ON COLUMN projections.balances.lifetime_consumed IS 'credits or runs that were ever used, reversals taken off';
COMMENT ON COLUMN projections.balances.as_of IS 'when the last event in it was recorded; with time zone';
COMMENT ON COLUMN projections.balances.shard IS 'Kafka partition and shard of the account';
COMMENT ON COLUMN projections.balances.position IS 'position in the shard''s log of the last event in it';
COMMENT ON COLUMN projections.balances.free_only IS 'whether nothing but the free allowance was ever granted';
COMMENT ON COLUMN projections.balances.account_state IS 'not_opened, open or closed; only an open account is allowed anything';

COMMENT ON COLUMN projections.usage_by_day.account_id IS 'the account, as in the CloudEvents subject';
COMMENT ON COLUMN projections.usage_by_day.day IS 'day on which it happened, UTC';
COMMENT ON COLUMN projections.usage_by_day.resource IS 'model_credits or tool_runs';
COMMENT ON COLUMN projections.usage_by_day.kind IS 'model_inference, guardrail, custom_script, tool_run or reversal';
COMMENT ON COLUMN projections.usage_by_day.name IS 'name of the model, guardrail, script or tool; of a reversal its reason';
COMMENT ON COLUMN projections.usage_by_day.events IS 'number of events';
COMMENT ON COLUMN projections.usage_by_day.amount IS 'credits or runs, by resource; negative for a reversal';
COMMENT ON COLUMN projections.usage_by_day.changed_at IS 'when the newest event in the line was recorded; with time zone, perhaps NULL';

COMMENT ON VIEW projections.accounts IS 'accounts that were opened, without contacts';
COMMENT ON COLUMN projections.accounts.account_id IS 'the account, as in the CloudEvents subject';
COMMENT ON COLUMN projections.accounts.plan IS 'plan in small letters; free is the free plan';
COMMENT ON COLUMN projections.accounts.display_name IS 'name for people, perhaps NULL';
COMMENT ON COLUMN projections.accounts.opened_at IS 'when it was opened, by its event; with time zone';
COMMENT ON COLUMN projections.accounts.as_of IS 'when the last event in it was recorded; with time zone';
COMMENT ON COLUMN projections.accounts.shard IS 'Kafka partition and shard of the account';
COMMENT ON COLUMN projections.accounts.position IS 'position in the shard''s log of the last event in it';
COMMENT ON COLUMN projections.accounts.time_zone IS 'IANA time zone of its days, perhaps NULL';
COMMENT ON COLUMN projections.accounts.state IS 'open or closed';
