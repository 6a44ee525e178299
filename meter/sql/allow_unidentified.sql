-- For the rest of the transaction: events of before events had a key may be sealed or moved. Readers of events wait meanwhile.
ALTER TABLE meter.events DROP CONSTRAINT IF EXISTS events_identified
