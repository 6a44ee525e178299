-- Record how the attempt of one claim ended.
-- $1 email_id uuid, $2 claim int, $3 outcome text, $4 phase text, $5 reply_code int, $6 detail text
UPDATE notifier.email_attempts SET ended_at = now(), outcome = $3, phase = $4, reply_code = $5, detail = $6
WHERE email_id = $1 AND claim = $2
