-- What the codes in event rows mean.
SELECT 'type' AS kind, code, type AS name FROM meter.event_types
UNION ALL
SELECT 'resource', code, resource FROM meter.resources
