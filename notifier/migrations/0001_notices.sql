-- What the notifier knows and what it has said: state per account and resource, notices, banners, emails.
CREATE SCHEMA notifier;

-- The next offset of metering.balances to read, beside the data it produced.
CREATE TABLE notifier.cursors (
    topic text NOT NULL,
    shard int NOT NULL CHECK (shard >= 0),
    next_offset bigint NOT NULL DEFAULT 0 CHECK (next_offset >= 0),
    PRIMARY KEY (topic, shard)
) WITH (fillfactor = 50);

-- The last balance.changed seen, in micro-units.
CREATE TABLE notifier.balances (
    account_id text NOT NULL,
    resource text NOT NULL CHECK (resource IN ('model_credits', 'tool_runs')),
    shard int NOT NULL,
    position bigint NOT NULL,
    epoch int NOT NULL,
    allocation bigint NOT NULL,
    consumed bigint NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, resource)
) WITH (fillfactor = 70);

CREATE TABLE notifier.accounts (
    account_id text PRIMARY KEY,
    shard int NOT NULL,
    position bigint NOT NULL,
    plan text NOT NULL,
    display_name text,
    contacts jsonb NOT NULL
);

-- A threshold was crossed: once per account, resource, epoch, channel and threshold, whatever happens.
CREATE TABLE notifier.notices (
    notice_id uuid PRIMARY KEY,
    account_id text NOT NULL,
    resource text NOT NULL,
    epoch int NOT NULL CHECK (epoch >= 1),
    channel text NOT NULL CHECK (channel IN ('banner', 'email')),
    threshold smallint NOT NULL CHECK (threshold BETWEEN 1 AND 100),
    outcome text NOT NULL CHECK (outcome IN ('seeded', 'superseded', 'delivered', 'no_contact')),
    allocation bigint NOT NULL,
    consumed bigint NOT NULL,
    shard int NOT NULL,
    position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT notices_once UNIQUE (account_id, resource, epoch, channel, threshold)
);
COMMENT ON COLUMN notifier.notices.consumed IS 'micro-units at the moment of the crossing, as is allocation';
COMMENT ON COLUMN notifier.notices.outcome IS
    'seeded: true at the start of the epoch, silent; superseded: a higher one was delivered at the same moment; '
    'delivered: handed to the banner, or queued as one email per contact; no_contact: nobody to write to';

-- The banner an account sees now for a resource; no row, no banner.
CREATE TABLE notifier.banners (
    account_id text NOT NULL,
    resource text NOT NULL,
    threshold smallint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('low', 'free_expired', 'paid_expired')),
    removable boolean NOT NULL,
    text text NOT NULL,
    epoch int NOT NULL,
    shard int NOT NULL,
    position bigint NOT NULL,
    raised_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, resource)
);

-- One email per delivered notice and contact; the retry state lives here, not in a Kafka offset.
CREATE TABLE notifier.emails (
    email_id uuid PRIMARY KEY,
    notice_id uuid NOT NULL REFERENCES notifier.notices,
    recipient text NOT NULL,
    message_id text NOT NULL UNIQUE,
    message bytea NOT NULL,
    state text NOT NULL CHECK (state IN ('queued', 'sent', 'failed', 'dropped')),
    claim int NOT NULL DEFAULT 0,
    attempts int NOT NULL DEFAULT 0,
    ambiguous_attempts int NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    handed_over_at timestamptz,
    reason text,
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    UNIQUE (notice_id, recipient)
);
CREATE INDEX emails_due ON notifier.emails (next_attempt_at) WHERE state = 'queued';
COMMENT ON COLUMN notifier.emails.next_attempt_at IS
    'when it is due; a claim moves it to where the claim runs out, so that a mailer that died loses it to another';
COMMENT ON COLUMN notifier.emails.claim IS
    'number of the latest claim: a mailer whose claim is an older one may no longer hand the mail over';
COMMENT ON COLUMN notifier.emails.attempts IS 'tries that count; trouble of the mail server as a whole does not';
COMMENT ON COLUMN notifier.emails.message IS 'the bytes as sent, the same on every attempt';
COMMENT ON COLUMN notifier.emails.handed_over_at IS
    'set before the final dot of an attempt whose end is not known: the mail may have been accepted';
COMMENT ON COLUMN notifier.emails.reason IS 'why it failed or was dropped, for people';

CREATE TABLE notifier.email_attempts (
    email_id uuid NOT NULL REFERENCES notifier.emails,
    claim int NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    outcome text CHECK (outcome IN ('sent', 'retry', 'failed', 'dropped', 'trouble', 'stopped')),
    phase text,
    reply_code int,
    detail text,
    PRIMARY KEY (email_id, claim)
);

COMMENT ON TABLE notifier.email_attempts IS 'what became of each claim; no outcome: the process ended before it knew';

-- Records of metering.balances that break their contract. A rule broken by our own topic is a fault to look into.
CREATE TABLE notifier.rejections (
    topic text NOT NULL,
    shard int NOT NULL,
    kafka_offset bigint NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    key bytea,
    value bytea,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (topic, shard, kafka_offset)
);

CREATE TABLE notifier.outbox (
    shard int NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    key text NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (shard, id)
);
CREATE TABLE notifier.outbox_shards (shard int PRIMARY KEY);
