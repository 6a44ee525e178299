-- What allow_sealing.sql allowed is refused again.
DO $$
BEGIN
    ALTER TABLE meter.events ENABLE TRIGGER append_only_rows;
    ALTER TABLE meter.batches ENABLE TRIGGER append_only_rows;
END
$$
