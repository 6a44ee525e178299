-- A rebuild judges the names of a day when it has collected all lines of a shard, not in each range: by the position where each line began.
-- Projections of the version before leave it empty, and do not read it.
ALTER TABLE projections.rebuilt_slots ADD COLUMN first_at bigint;
COMMENT ON COLUMN projections.rebuilt_slots.first_at IS 'position of its first event';
