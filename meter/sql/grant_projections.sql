-- credit_projections reads the log and owns the read models.
DO $$
BEGIN
    GRANT USAGE ON SCHEMA meter TO credit_projections;
    GRANT SELECT ON meter.events, meter.shards, meter.batches, meter.event_types, meter.resources, meter.event_log,
        meter.reversals
        TO credit_projections;
    GRANT ALL ON SCHEMA projections TO credit_projections;
    GRANT ALL ON ALL TABLES IN SCHEMA projections TO credit_projections;
END
$$
