-- The lines that were crossed, as the Go peer found them.
SELECT account_id, resource, channel, threshold FROM peer.notices
