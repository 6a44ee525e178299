-- What allow_unidentified.sql allowed is refused again.
ALTER TABLE meter.events ADD CONSTRAINT events_identified CHECK (event_key IS NOT NULL) NOT VALID
