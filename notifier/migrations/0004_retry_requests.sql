-- A person asks that a letter is tried again. The notifier, which alone changes letters, carries it out and answers here:
-- so support needs no right to change what people were told.
CREATE TABLE notifier.retry_requests (
    shard int NOT NULL,
    request_id uuid NOT NULL,
    email_id uuid NOT NULL REFERENCES notifier.emails,
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    outcome text CHECK (outcome IN ('queued', 'waits', 'nothing')),
    answered_at timestamptz,
    PRIMARY KEY (shard, request_id)
);
CREATE INDEX retry_requests_open ON notifier.retry_requests (requested_at) WHERE outcome IS NULL;
COMMENT ON COLUMN notifier.retry_requests.outcome IS
    'null: not carried out yet; queued: a letter is on its way; waits: one was already; nothing: nothing is owed';
