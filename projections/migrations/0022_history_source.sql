-- Who granted credits, or took them back, stands beside the reason and the reference: the `source` of the event. The version before
-- reads the view by the names of its columns.
CREATE OR REPLACE VIEW projections.account_history AS
SELECT e.account_id, e.shard, e.position, e.recorded_at AS at, t.type, r.resource,
       (e.amount::numeric / 1000000)::numeric(20, 6) AS amount, e.name AS reason, e.data ->> 'reference' AS reference, e.source
FROM meter.events e
JOIN meter.event_types t ON t.code = e.type
LEFT JOIN meter.resources r ON r.code = e.resource
WHERE e.type IN (10, 11, 13, 14, 15, 17, 18);
COMMENT ON VIEW projections.account_history IS 'reason: of a grant or correction, or the plan; source: the service that sent the event';
