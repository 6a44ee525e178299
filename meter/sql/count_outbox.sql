-- How many records wait to be sent on.
SELECT count(*) FROM meter.outbox;
