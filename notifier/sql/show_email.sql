-- A letter, with what its contact was told and is owed.
-- $1 email_id uuid, $2 its shard int
SELECT e.email_id, e.account_id, e.shard, e.recipient, c.contact_id, c.is_contact, c.refused, e.state, e.lines, e.attempts, e.message,
       e.ambiguous_attempts, e.created_at, e.notice_id, e.generation,
       CASE e.state WHEN 'queued' THEN e.next_attempt_at END AS next_attempt_at, e.finished_at, e.reason,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('resource', b.resource, 'line', b.line) ORDER BY b.resource), '[]')
        FROM notifier.balances b WHERE b.account_id = e.account_id AND b.shard = $2 AND b.line > 0) AS reached_now,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('resource', t.resource, 'line', t.level) ORDER BY t.resource), '[]')
        FROM notifier.told t
        WHERE t.shard = e.shard /*citus AND t.shard = $2 */ AND t.account_id = e.account_id AND t.contact = e.recipient AND t.level > 0) AS told
FROM notifier.emails e
JOIN notifier.contacts c ON c.shard = e.shard /*citus AND c.shard = $2 */ AND c.account_id = e.account_id AND c.contact = e.recipient
WHERE e.email_id = $1 AND e.shard = $2
