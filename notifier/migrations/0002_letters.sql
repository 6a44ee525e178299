-- Letters: what each contact was told, and one unsent row per contact for both resources, rendered when it is sent.
-- Lines that were reached before count as told, unless their letter is still queued: the upgrade itself sends nothing.

ALTER TABLE notifier.balances
    ADD COLUMN line smallint NOT NULL DEFAULT 0,
    ADD COLUMN as_of timestamptz;
COMMENT ON COLUMN notifier.balances.line IS
    'the highest line of emails at or below the balance, by the thresholds in force when it came; 0 for none';
COMMENT ON COLUMN notifier.balances.as_of IS 'when the event it follows from was recorded';

UPDATE notifier.balances b SET as_of = b.changed_at, line = coalesce((
    SELECT max(n.threshold) FROM notifier.notices n
    WHERE n.account_id = b.account_id AND n.resource = b.resource AND n.epoch = b.epoch AND n.channel = 'email'
      AND b.consumed::numeric * 100 >= n.threshold * b.allocation::numeric), 0);

ALTER TABLE notifier.accounts ADD COLUMN is_open boolean NOT NULL DEFAULT true;

-- Who is a contact, or was one: who returns keeps what they know.
CREATE TABLE notifier.contacts (
    shard int NOT NULL,
    account_id text NOT NULL,
    contact text NOT NULL,
    contact_id uuid NOT NULL,
    is_contact boolean NOT NULL,
    refused boolean NOT NULL DEFAULT false,
    PRIMARY KEY (shard, account_id, contact)
);
COMMENT ON COLUMN notifier.contacts.contact_id IS 'stands for the address in events';
COMMENT ON COLUMN notifier.contacts.refused IS
    'the address is bad for good: no letter until it is removed and added again, or a person has it tried again';

CREATE TABLE notifier.told (
    shard int NOT NULL,
    account_id text NOT NULL,
    resource text NOT NULL CHECK (resource IN ('model_credits', 'tool_runs')),
    contact text NOT NULL,
    level smallint NOT NULL,
    given_up smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (shard, account_id, resource, contact)
);
COMMENT ON COLUMN notifier.told.level IS 'the highest line that the contact was told; 0 for none';
COMMENT ON COLUMN notifier.told.given_up IS 'the line of the present epoch at which telling was given up; 0 for none';

ALTER TABLE notifier.emails
    ADD COLUMN shard int,
    ADD COLUMN account_id text,
    ADD COLUMN lines jsonb NOT NULL DEFAULT '[]',
    ALTER COLUMN message DROP NOT NULL,
    ALTER COLUMN message_id DROP NOT NULL,
    DROP CONSTRAINT emails_notice_id_recipient_key,
    DROP CONSTRAINT emails_state_check;
ALTER TABLE notifier.email_attempts DROP CONSTRAINT email_attempts_outcome_check;

UPDATE notifier.emails e SET
    shard = n.shard, account_id = n.account_id,
    state = CASE e.state WHEN 'sent' THEN 'accepted' WHEN 'failed' THEN 'given_up' WHEN 'dropped' THEN 'cancelled'
                         ELSE e.state END,
    lines = CASE WHEN e.state = 'sent' OR e.handed_over_at IS NOT NULL OR e.ambiguous_attempts > 0
                 THEN jsonb_build_array(jsonb_build_object(
                     'resource', n.resource, 'epoch', n.epoch, 'line', n.threshold, 'counts', n.threshold,
                     'position', n.position))
                 ELSE '[]' END
FROM notifier.notices n
WHERE n.notice_id = e.notice_id;
UPDATE notifier.email_attempts SET outcome =
    CASE outcome WHEN 'sent' THEN 'accepted' WHEN 'failed' THEN 'given_up' ELSE 'cancelled' END
WHERE outcome IN ('sent', 'failed', 'dropped');

INSERT INTO notifier.contacts (shard, account_id, contact, contact_id, is_contact)
SELECT a.shard, a.account_id, c.contact,
       md5(concat_ws(' ', 'contact', a.account_id, a.shard, a.position, c.place))::uuid, true
FROM notifier.accounts a
CROSS JOIN LATERAL jsonb_array_elements_text(a.contacts) WITH ORDINALITY AS c (contact, place)
ON CONFLICT DO NOTHING;
INSERT INTO notifier.contacts (shard, account_id, contact, contact_id, is_contact)
SELECT DISTINCT ON (e.shard, e.account_id, e.recipient) e.shard, e.account_id, e.recipient,
       md5(concat_ws(' ', 'contact', e.account_id, e.email_id))::uuid, false
FROM notifier.emails e
WHERE e.state = 'queued'
ORDER BY e.shard, e.account_id, e.recipient, e.email_id
ON CONFLICT DO NOTHING;

-- What a contact knows: the lines of this epoch; where a letter waits, those that were told before it, lowered by the
-- epochs begun since.
INSERT INTO notifier.told (shard, account_id, resource, contact, level)
SELECT c.shard, c.account_id, b.resource, c.contact, coalesce(CASE WHEN q.epoch IS NULL THEN (
    SELECT max(n.threshold) FROM notifier.notices n
    WHERE n.account_id = b.account_id AND n.resource = b.resource AND n.epoch = b.epoch AND n.channel = 'email'
) ELSE least((
    SELECT coalesce(max(n.threshold), 0) FROM notifier.notices n
    WHERE n.account_id = b.account_id AND n.resource = b.resource AND n.epoch = q.epoch AND n.channel = 'email'
      AND n.position < q.position
), (
    SELECT min(coalesce((
        SELECT max(n.threshold) FROM notifier.notices n
        WHERE n.account_id = b.account_id AND n.resource = b.resource AND n.epoch = e.epoch AND n.channel = 'email'
          AND n.outcome = 'seeded'), 0))
    FROM generate_series(q.epoch + 1, b.epoch) AS e (epoch)
)) END, 0)
FROM notifier.contacts c
JOIN notifier.balances b ON b.account_id = c.account_id
LEFT JOIN LATERAL (
    SELECT n.epoch, n.position
    FROM notifier.emails e
    JOIN notifier.notices n USING (notice_id)
    WHERE e.state = 'queued' AND e.recipient = c.contact AND n.account_id = c.account_id AND n.resource = b.resource
    ORDER BY n.epoch, n.position
    LIMIT 1
) AS q ON true;

-- Of several letters that wait for one contact one stays, first of all one that may have arrived; it will tell all.
WITH waiting AS (
    SELECT email_id, row_number() OVER (
        PARTITION BY shard, account_id, recipient ORDER BY lines <> '[]' DESC, created_at DESC, email_id) AS number
    FROM notifier.emails
    WHERE state = 'queued'
)
UPDATE notifier.emails e SET state = 'cancelled', finished_at = now(), reason = 'another letter tells all that is owed'
FROM waiting w
WHERE w.email_id = e.email_id AND w.number > 1;
UPDATE notifier.emails SET message = NULL, message_id = NULL WHERE state = 'queued' AND lines = '[]';

ALTER TABLE notifier.emails
    ALTER COLUMN shard SET NOT NULL,
    ALTER COLUMN account_id SET NOT NULL,
    ADD CONSTRAINT emails_state_check CHECK (
        state IN ('queued', 'accepted', 'presumed', 'refused', 'given_up', 'capped', 'cancelled'));
ALTER TABLE notifier.email_attempts ADD CONSTRAINT email_attempts_outcome_check CHECK (
    outcome IN ('accepted', 'retry', 'presumed', 'refused', 'given_up', 'capped', 'cancelled', 'trouble', 'stopped'));
CREATE UNIQUE INDEX emails_unsent ON notifier.emails (shard, account_id, recipient) WHERE state = 'queued';
CREATE INDEX emails_of_contact ON notifier.emails (shard, account_id, recipient, finished_at);
CREATE INDEX emails_of_notice ON notifier.emails (notice_id);
COMMENT ON COLUMN notifier.emails.notice_id IS 'the notice of the line that the letter is mainly about';
COMMENT ON COLUMN notifier.emails.message IS 'the bytes that were handed over last; a repeat after a lost reply has the same';
COMMENT ON COLUMN notifier.emails.lines IS
    'what the bytes show per resource: epoch, line, position of the balance; counts: the line as an acceptance counts, '
    'lowered by each epoch begun since';
COMMENT ON COLUMN notifier.emails.state IS
    'queued: not ended yet; accepted, presumed: its lines count as told; refused, given_up: not told, see README.md; '
    'capped: owed until the limit of a day is over; cancelled: nothing was owed any more';
