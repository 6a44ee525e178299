-- The view joins what is of one account by its shard as well: where the tables are distributed, that is on one node. The columns and
-- states are those it had; the version before goes on beside it.
CREATE OR REPLACE VIEW notifier.line_states AS
WITH lines AS (
    SELECT n.shard, n.account_id, n.resource, n.epoch, n.threshold AS line, n.created_at AS reached_at,
           n.threshold <= b.line AS is_reached, coalesce(a.is_open, true) AS is_open
    FROM notifier.notices n
    JOIN notifier.balances b ON b.shard = n.shard AND b.account_id = n.account_id AND b.resource = n.resource AND b.epoch = n.epoch
    LEFT JOIN notifier.accounts a ON a.shard = n.shard AND a.account_id = n.account_id
    WHERE n.channel = 'email'
), contacts AS (
    -- Who was a contact before is named where a letter went to them, or was meant to, in this epoch.
    SELECT l.*, c.contact, c.contact_id, c.is_contact, c.refused, c.joined_at, coalesce(t.level, 0) AS level,
           coalesce(t.given_up, 0) AS given_up
    FROM lines l
    LEFT JOIN notifier.contacts c
        ON c.shard = l.shard AND c.account_id = l.account_id
       AND (c.is_contact OR EXISTS (
           SELECT FROM notifier.emails e JOIN notifier.notices n ON n.shard = e.shard AND n.notice_id = e.notice_id
           WHERE e.shard = c.shard AND e.account_id = c.account_id AND e.recipient = c.contact
             AND n.resource = l.resource AND n.epoch = l.epoch))
    LEFT JOIN notifier.told t
        ON t.shard = c.shard AND t.account_id = c.account_id AND t.resource = l.resource AND t.contact = c.contact
), found AS (
    SELECT c.*, told.email_id AS told_by, told.finished_at AS told_at, told.epoch AS told_epoch, told.line AS told_line,
           unsent.email_id AS unsent, unsent.lost, unsent.since, unsent.is_capped,
           back.email_id AS back_by, back.ended_at AS back_at,
           CASE
               WHEN c.contact IS NULL THEN 'nobody'
               WHEN c.level >= c.line THEN CASE WHEN told.epoch = c.epoch AND told.line = c.line THEN 'told'
                                                WHEN told.epoch = c.epoch THEN 'covered'
                                                ELSE 'known' END
               WHEN c.is_open AND c.is_contact AND c.is_reached THEN 'owed'
               ELSE 'lapsed' END AS state
    FROM contacts c
    LEFT JOIN LATERAL (  -- of this epoch and of this line before others; of several the first
        SELECT e.email_id, e.finished_at, (s.said ->> 'epoch')::int AS epoch, (s.said ->> 'line')::int AS line
        FROM notifier.emails e
        CROSS JOIN LATERAL jsonb_array_elements(e.lines) AS s (said)
        WHERE e.shard = c.shard AND e.account_id = c.account_id AND e.recipient = c.contact
          AND e.state IN ('accepted', 'presumed') AND s.said ->> 'resource' = c.resource
          AND (s.said ->> 'line')::int >= c.line
        ORDER BY (s.said ->> 'epoch')::int DESC, (s.said ->> 'line')::int = c.line DESC, e.finished_at
        LIMIT 1
    ) AS told ON c.level >= c.line
    LEFT JOIN LATERAL (  -- of a letter that the database has forgotten, as Kafka has it
        SELECT r.email_id, r.ended_at
        FROM notifier.recalled r
        WHERE r.shard = c.shard AND r.account_id = c.account_id AND r.contact_id = c.contact_id AND r.resource = c.resource
          AND r.line >= c.line AND r.epoch <= c.epoch
        ORDER BY r.epoch DESC, r.line = c.line DESC, r.ended_at
        LIMIT 1
    ) AS back ON c.level >= c.line
    LEFT JOIN LATERAL (
        SELECT e.email_id,  -- the claim counts a lost reply when it is the next one
               e.ambiguous_attempts + (e.handed_over_at IS NOT NULL)::int AS lost,
               (SELECT min(t.started_at) FROM notifier.email_attempts t
                WHERE t.shard = e.shard AND t.email_id = e.email_id) AS since,
               (SELECT p.state = 'capped' FROM notifier.emails p
                WHERE p.shard = e.shard AND p.account_id = e.account_id AND p.recipient = e.recipient
                  AND p.finished_at IS NOT NULL
                ORDER BY p.finished_at DESC LIMIT 1) AS is_capped
        FROM notifier.emails e
        WHERE e.shard = c.shard AND e.account_id = c.account_id AND e.recipient = c.contact AND e.state = 'queued'
    ) AS unsent ON c.level < c.line
), reasoned AS (
    SELECT f.*, CASE
        WHEN state = 'owed' THEN CASE
            WHEN refused THEN 'refused'
            WHEN unsent IS NULL AND given_up >= line THEN 'given up'
            WHEN unsent IS NULL THEN 'no letter'
            WHEN lost > 0 THEN 'unanswered'
            WHEN since IS NOT NULL THEN 'retrying'
            WHEN is_capped THEN 'capped'
            ELSE 'waiting' END
        WHEN state = 'lapsed' THEN CASE
            WHEN NOT is_open THEN 'account closed'
            WHEN NOT is_contact THEN 'no contact any more'
            ELSE 'no longer reached' END
        END AS reason,
        concat(' by letter ', told_by, ' at ', to_char(told_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), ' UTC')
            AS by_letter,
        concat(' since ', to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), ' UTC') AS since_when
    FROM found f
)
SELECT shard, account_id, resource, epoch, line, reached_at, contact, contact_id, state, reason,
       CASE WHEN state IN ('told', 'covered', 'known') THEN told_by WHEN state = 'owed' THEN unsent END AS letter,
       CASE WHEN state IN ('told', 'covered', 'known') THEN told_at WHEN state = 'owed' THEN since END AS at,
       CASE WHEN state IN ('told', 'covered', 'known') THEN told_line END AS told_line,
       CASE WHEN state IN ('told', 'covered', 'known') THEN told_epoch END AS told_epoch,
       CASE state
           WHEN 'nobody' THEN 'nobody to tell'
           WHEN 'told' THEN concat('told', by_letter)
           WHEN 'covered' THEN concat('covered by ', told_line, ' %,', by_letter)
           WHEN 'known' THEN CASE WHEN told_epoch IS NOT NULL THEN concat('known from epoch ', told_epoch, ',', by_letter)
                                  WHEN back_by IS NOT NULL THEN concat('known from letter ', back_by, ' at ',
                                      to_char(back_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
                                      ' UTC, read back from Kafka after `meter recover`')
                                  WHEN joined_at IS NULL THEN 'known from before letters were recorded'
                                  ELSE 'known from the contacts they joined' END
           WHEN 'lapsed' THEN concat('lapsed: ', reason)
           ELSE concat('owed: ', CASE reason
               WHEN 'waiting' THEN 'the letter waits to be sent'
               WHEN 'retrying' THEN concat('retrying', since_when)
               WHEN 'unanswered' THEN concat('retrying', since_when, ', replies lost: ', lost)
               WHEN 'capped' THEN 'waits, as many letters as a day may bring were sent'
               WHEN 'refused' THEN 'the address was refused'
               WHEN 'given up' THEN 'given up until the next line or epoch, or `notifier emails retry`'
               ELSE 'no letter is on its way' END) END AS says
FROM reasoned;
