-- Record how the attempt of one claim ended. The answer may name the reader: where they were forgotten meanwhile, it is not kept.
-- $1 email_id uuid, $2 claim int, $3 outcome text, $4 phase text, $5 reply_code int, $6 detail text, $7 shard int
UPDATE notifier.email_attempts t
SET ended_at = now(), outcome = $3, phase = $4, reply_code = $5,
    detail = CASE WHEN (SELECT a.forgotten FROM notifier.emails e JOIN notifier.accounts a USING (account_id)
                        WHERE e.email_id = $1 AND e.shard = $7 AND a.shard = $7) IS NOT TRUE THEN $6 END
WHERE t.email_id = $1 AND t.claim = $2 AND coalesce(t.shard, $7) = $7 /*citus AND t.shard = $7 */
