-- What allow_removal.sql allowed is refused again.
ALTER TABLE meter.keys ENABLE TRIGGER keep_forgotten_rows
