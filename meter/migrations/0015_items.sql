-- Events that tell of a model, guardrail, script or tool: its name, status and more. They cost and grant nothing. Projections of the
-- version before refuse the new code, loudly, instead of leaving it out.
INSERT INTO meter.event_types (code, type) VALUES (19, 'item.changed.v1');
