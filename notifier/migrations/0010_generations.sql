-- The generation of the log that things follow from: what comes with a higher one is newer, whatever its position.
ALTER TABLE notifier.balances ADD COLUMN generation int NOT NULL DEFAULT 1;
ALTER TABLE notifier.accounts ADD COLUMN generation int NOT NULL DEFAULT 1;
ALTER TABLE notifier.banners ADD COLUMN generation int NOT NULL DEFAULT 1;
ALTER TABLE notifier.emails ADD COLUMN generation int NOT NULL DEFAULT 1;

-- Where each generation begins: what an older one had from there on is lost, and its events on metering.balances are passed over.
CREATE TABLE notifier.generations (
    shard int NOT NULL,
    generation int NOT NULL,
    from_position bigint NOT NULL,
    PRIMARY KEY (shard, generation)
);
