-- Where the records of a replay are on Kafka, so that a list can say what became of them since. Of replays from before it is not
-- known. The version before goes on: it adds replays without it, and reads none of it.
ALTER TABLE meter.replays
    ADD COLUMN landed_shards int[],
    ADD COLUMN landed_offsets bigint[],
    ADD CONSTRAINT replays_landed CHECK (cardinality(landed_shards) IS NOT DISTINCT FROM cardinality(landed_offsets));
COMMENT ON COLUMN meter.replays.landed_shards IS 'the partition of each record that was sent, of the topic of the rejection';
COMMENT ON COLUMN meter.replays.landed_offsets IS 'its Kafka offset there; null where the replay did not note it';
CREATE INDEX replays_rejection ON meter.replays (rejection_id);
