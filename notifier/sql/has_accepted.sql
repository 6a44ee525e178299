-- Whether a letter was accepted in the last seconds. The newest stands at the end of the index of those that have their bytes.
-- $1 within_s double precision
SELECT coalesce(max(finished_at) > now() - make_interval(secs => $1), false)
FROM notifier.emails
WHERE state = 'accepted' AND message IS NOT NULL
