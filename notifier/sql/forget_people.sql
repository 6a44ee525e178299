-- Blank addresses and names of accounts that were forgotten: a contact's id takes the place of their address, so that it still
-- can be seen how many were told what. Letters that wait end: returns them, without an address.
-- $1 shard int, $2 accounts text[]
WITH people AS MATERIALIZED (
    SELECT account_id, contact, contact_id, contact_id::text AS id
    FROM notifier.contacts
    WHERE shard = $1 AND account_id = ANY ($2::text[])
), moment AS MATERIALIZED (
    SELECT statement_timestamp() AS now
), letters AS (
    UPDATE notifier.emails e
    SET recipient = coalesce((SELECT p.id FROM people p WHERE p.account_id = e.account_id AND p.contact = e.recipient), 'forgotten'),
        message = NULL, handed_over_at = NULL,
        reason = CASE WHEN e.state = 'queued' THEN 'the account was forgotten' END,
        state = CASE WHEN e.state = 'queued' THEN 'cancelled' ELSE e.state END,
        finished_at = coalesce(e.finished_at, (SELECT m.now FROM moment m))
    WHERE e.shard = $1 AND e.account_id = ANY ($2::text[])
    RETURNING e.email_id, e.notice_id, e.account_id, e.shard, e.recipient, e.created_at, e.generation, e.lines, e.reason
), attempts AS (
    UPDATE notifier.email_attempts t SET detail = NULL FROM letters l WHERE t.email_id = l.email_id /*citus AND t.shard = $1 */ AND t.detail IS NOT NULL
), told AS (
    UPDATE notifier.told t SET contact = p.id FROM people p
    WHERE t.shard = $1 AND t.account_id = p.account_id AND t.contact = p.contact
), recalled AS (
    UPDATE notifier.recalled r SET contact = r.contact_id::text WHERE r.shard = $1 AND r.account_id = ANY ($2::text[])
), refused AS (
    UPDATE notifier.rejections j SET value = NULL, detail = 'its account was forgotten'
    WHERE j.shard = $1 AND j.key = ANY (SELECT convert_to(a, 'UTF8') FROM unnest($2::text[]) a)
), known AS (
    UPDATE notifier.accounts a SET forgotten = true WHERE a.account_id = ANY ($2::text[]) AND a.shard = $1
), contacts AS (
    UPDATE notifier.contacts c SET contact = c.contact_id::text, is_contact = false, refused = false
    WHERE c.shard = $1 AND c.account_id = ANY ($2::text[])
)
SELECT l.email_id, l.notice_id, l.account_id, l.shard, l.recipient, l.created_at, l.generation, l.lines, l.reason, p.contact_id
FROM letters l
JOIN people p ON p.account_id = l.account_id AND p.id = l.recipient
WHERE l.reason IS NOT NULL  -- of the letters that had ended before, nothing is kept that may name somebody
ORDER BY l.account_id, l.email_id
