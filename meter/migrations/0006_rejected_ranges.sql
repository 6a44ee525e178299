-- One rejection may stand for many records: a record batch that nobody can read, or a flood of records without an event. Of
-- what is large the beginning is kept, with the length and the digest of the whole.
ALTER TABLE meter.rejections
    ADD COLUMN to_offset bigint CHECK (to_offset > kafka_offset),
    ADD COLUMN original_bytes bigint CHECK (original_bytes >= 0),
    ADD COLUMN original_sha256 bytea CHECK (octet_length(original_sha256) = 32);
COMMENT ON COLUMN meter.rejections.to_offset IS 'the first offset behind it, where it stands for more than one record';
COMMENT ON COLUMN meter.rejections.original_bytes IS 'of the record or the packed record batch as it was sent, where only its beginning is kept or nobody can read it';
COMMENT ON COLUMN meter.rejections.original_sha256 IS 'of the same bytes';
COMMENT ON COLUMN meter.batches.rejected IS 'rows in meter.rejections; one may cover a range of offsets';
