-- Beyond a rate the refused records of a batch are packed into one row for each reason, and its repeats counted in one row: what is
-- small on the wire must not be large here. These offsets need not be neighbours: other outcomes may lie between.
ALTER TABLE meter.rejections ADD COLUMN offsets int8multirange;
ALTER TABLE meter.duplicates ADD COLUMN offsets int8multirange;
ALTER TABLE meter.rerouted ADD COLUMN offsets int8multirange;
COMMENT ON COLUMN meter.rejections.offsets IS 'of the records that are packed in value; kafka_offset is the first of them';
COMMENT ON COLUMN meter.duplicates.offsets IS 'of the records that the row stands for, where they are many; kafka_offset is the first of them';
COMMENT ON COLUMN meter.rerouted.offsets IS 'of the records of one account and source that the row stands for, where they are many';
COMMENT ON COLUMN meter.batches.duplicates IS 'records; one row in meter.duplicates may stand for many';
