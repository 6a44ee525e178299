-- Events are known by topic, account, source and id, and an id may be any text; each batch says by which rules it was chained.
-- Nothing is rewritten: events stored before keep their uuid in event_id and have neither id nor event_key.
ALTER TABLE meter.events
    ADD COLUMN id text,
    ADD COLUMN event_key bytea,
    ALTER COLUMN event_id DROP NOT NULL,
    ADD CONSTRAINT events_identified CHECK (event_key IS NOT NULL) NOT VALID;
COMMENT ON COLUMN meter.events.id IS 'an id that is no UUID, as sent';
COMMENT ON COLUMN meter.events.event_key IS 'of topic, account, source and id (schemas/identity.py); where id is null it begins with the 16 bytes of the UUID';
COMMENT ON COLUMN meter.events.event_id IS 'of events stored before event_key; null since';

ALTER TABLE meter.duplicates
    ADD COLUMN id text,
    ALTER COLUMN event_id DROP NOT NULL,
    ADD CONSTRAINT duplicates_identified CHECK (id IS NOT NULL) NOT VALID;

ALTER TABLE meter.batches
    ADD COLUMN chain_version smallint NOT NULL DEFAULT 2,
    ADD COLUMN evidence bytea,
    ADD COLUMN generation int NOT NULL DEFAULT 1,
    ADD COLUMN rerouted int NOT NULL DEFAULT 0;
-- A meter of the version before that still runs says no version: it must fail, loudly and without storing anything. With
-- the check above alone it would put every event among the rejections.
ALTER TABLE meter.batches ALTER COLUMN chain_version DROP DEFAULT;
COMMENT ON COLUMN meter.batches.chain_version IS 'what the hash covers: meter/store/README.md';
COMMENT ON COLUMN meter.batches.evidence IS 'SHA-256 of its duplicates, of its rejections and of its gaps, those there are; null in version 2';

DROP VIEW meter.event_log;
CREATE VIEW meter.event_log AS
SELECT e.shard, e.position, coalesce(e.id, encode(substr(e.event_key, 1, 16), 'hex')::uuid::text, e.event_id::text) AS event_id, t.type, e.account_id, r.resource,
       (e.amount::numeric / 1000000)::numeric(20, 6) AS amount,
       e.name, e.occurred_at, e.recorded_at, e.kafka_offset, e.source, e.data, e.extensions
FROM meter.events e
JOIN meter.event_types t ON t.code = e.type
LEFT JOIN meter.resources r ON r.code = e.resource;
