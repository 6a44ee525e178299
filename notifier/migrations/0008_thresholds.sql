-- Which thresholds count from which position of each shard. `projections verify` compares by them.
CREATE TABLE notifier.thresholds (
    shard int NOT NULL,
    position bigint NOT NULL CHECK (position >= 1),
    banner smallint[] NOT NULL,
    email smallint[] NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (shard, position)
);
COMMENT ON TABLE notifier.thresholds IS
    'written when a notifier starts with other thresholds than the newest here; what lies before the first position of a '
    'shard was noticed before this was recorded';
