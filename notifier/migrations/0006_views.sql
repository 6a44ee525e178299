-- What other front ends and the history of an account may read: banners, notices and letters, without addresses and without what
-- mail servers answered, which may name one.
CREATE VIEW notifier.shown_banners AS
SELECT account_id, resource, threshold, kind, removable, text, epoch, shard, position, raised_at
FROM notifier.banners;
COMMENT ON VIEW notifier.shown_banners IS 'the banner of each account and resource now; no row, no banner';

CREATE VIEW notifier.notice_history AS
SELECT account_id, resource, epoch, channel, threshold, outcome,
       (allocation * 0.000001)::numeric(38, 6) AS allocation,
       (consumed * 0.000001)::numeric(38, 6) AS consumed, shard, position, created_at
FROM notifier.notices;

CREATE VIEW notifier.letter_history AS
SELECT e.account_id, e.email_id, c.contact_id, e.state, e.attempts, e.lines, e.shard, e.created_at, e.finished_at
FROM notifier.emails e
LEFT JOIN notifier.contacts c ON c.shard = e.shard AND c.account_id = e.account_id AND c.contact = e.recipient;
COMMENT ON VIEW notifier.letter_history IS 'one row per letter; contact_id stands for the address';
CREATE INDEX emails_of_account ON notifier.emails (account_id, created_at);
