-- When a line of usage by day last changed: a day that was closed and that late usage changes can be seen to have changed.
-- Lines from before have none, until an event is added to them or `projections rebuild usage` brings it.
ALTER TABLE projections.usage_days ADD COLUMN changed_at timestamptz;
-- What a rebuild found stored stands beside what the log says: an event that the fold adds meanwhile makes it newer.
ALTER TABLE projections.rebuilt_usage ADD COLUMN changed_at timestamptz, ADD COLUMN stored_changed_at timestamptz;
COMMENT ON COLUMN projections.usage_days.changed_at IS 'when the newest event in it was recorded';

CREATE OR REPLACE VIEW projections.usage_by_day AS
SELECT u.account_id, u.day,
       CASE u.resource WHEN 1 THEN 'model_credits' WHEN 2 THEN 'tool_runs' END AS resource,
       CASE u.type WHEN 1 THEN 'model_inference' WHEN 2 THEN 'guardrail' WHEN 3 THEN 'custom_script'
                   WHEN 4 THEN 'tool_run' WHEN 14 THEN 'reversal' END AS kind,
       u.name, u.events,
       ((CASE u.type WHEN 14 THEN -u.amount ELSE u.amount END)::numeric / 1000000)::numeric(20, 6) AS amount,
       u.changed_at
FROM projections.usage_days u;
