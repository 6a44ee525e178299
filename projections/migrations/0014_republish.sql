-- Which topic the messages of the outbox go to, and how far the present state of every account was sent to it again.
ALTER TABLE projections.outbox_shards ADD COLUMN topic_id text;
COMMENT ON COLUMN projections.outbox_shards.topic_id IS 'identity of metering.balances; a re-created topic has another';

CREATE TABLE projections.republications (
    shard int PRIMARY KEY,
    after text COLLATE "C" NOT NULL,
    accounts bigint NOT NULL DEFAULT 0,
    begun_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
COMMENT ON TABLE projections.republications IS 'the newest republication of each shard: where it goes on after an interruption';
COMMENT ON COLUMN projections.republications.after IS 'the last account, in the order of ids, whose state is in the outbox';
