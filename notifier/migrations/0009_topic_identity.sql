-- Which topic the offsets were counted in: those of a re-created one mean other records.
ALTER TABLE notifier.cursors ADD COLUMN topic_id text;
COMMENT ON COLUMN notifier.cursors.topic_id IS 'identity of the topic that next_offset is of; null until it was first read';
