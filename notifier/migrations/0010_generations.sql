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
    recalled_at timestamptz,
    PRIMARY KEY (shard, generation)
);
COMMENT ON COLUMN notifier.generations.recalled_at IS 'when it was read back what people were told before; nothing is sent before that';

-- What letters told that the database has forgotten: it counts when the epoch begins again that the letter was of.
CREATE TABLE notifier.recalled (
    shard int NOT NULL,
    account_id text NOT NULL,
    contact text NOT NULL,
    contact_id uuid NOT NULL,
    resource text NOT NULL CHECK (resource IN ('model_credits', 'tool_runs')),
    epoch int NOT NULL,
    line smallint NOT NULL,
    email_id uuid NOT NULL,
    ended_at timestamptz NOT NULL,
    PRIMARY KEY (shard, account_id, contact, resource, email_id)
);
