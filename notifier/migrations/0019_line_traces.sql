-- The span of the producer whose event brought a balance to its line, for the letters that tell of it. Rows are written while
-- traces are on. A notifier of the version before neither reads nor writes it.
CREATE TABLE notifier.line_traces (
    shard int NOT NULL,
    account_id text NOT NULL,
    resource text NOT NULL,
    epoch int NOT NULL,
    line int NOT NULL,
    traceparent text NOT NULL CHECK (length(traceparent) = 55),
    PRIMARY KEY (shard, account_id, resource)
);
COMMENT ON TABLE notifier.line_traces IS 'of each balance: the traceparent of the event that brought it to its line';
COMMENT ON COLUMN notifier.line_traces.line IS 'whole percent';
