-- Events that take grants back. Projections of the version before refuse the new code, loudly, instead of leaving it out.
INSERT INTO meter.event_types (code, type) VALUES
    (15, 'credits.revoked.v1');
