-- outside a transaction: on a large log the indexes take minutes, while readers go on.
-- What is asked for again and again and is seldom there: how far batches go whose hash covers their evidence, which `meter prune`
-- asks for each portion, and whether an account was forgotten in the log. A new log has no such batch, and few are forgotten.
-- Services and verbs of the version before go on without them.
CREATE INDEX CONCURRENTLY IF NOT EXISTS batches_without_digest_usage
    ON meter.batches (shard, usage_to) WHERE chain_version < 3;

CREATE INDEX CONCURRENTLY IF NOT EXISTS batches_without_digest_accounts
    ON meter.batches (shard, accounts_to) WHERE chain_version < 3;

CREATE INDEX CONCURRENTLY IF NOT EXISTS events_of_forgetting
    ON meter.events (shard, account_id) WHERE type = 20;
