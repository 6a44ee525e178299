-- The thresholds that count now, for pages that compare others with them. The version before neither reads nor writes it.
CREATE VIEW notifier.lines_in_force AS
SELECT DISTINCT ON (shard) shard, banner, email
FROM notifier.thresholds
ORDER BY shard, position DESC;
COMMENT ON VIEW notifier.lines_in_force IS 'whole percents of each shard, as the notifier recorded them last';
