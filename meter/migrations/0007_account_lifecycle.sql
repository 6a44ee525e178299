-- Events that take grants back, and that rename, close and reopen accounts. Projections of the version before refuse the new codes, loudly, instead of leaving them out.
INSERT INTO meter.event_types (code, type) VALUES
    (15, 'credits.revoked.v1'),
    (16, 'account.renamed.v1'),
    (17, 'account.closed.v1'),
    (18, 'account.reopened.v1');
