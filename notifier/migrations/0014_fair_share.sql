-- outside a transaction: the index reads all letters there ever were, which may take minutes, while letters are sent.
-- In which order due letters are taken, apart from when they are due: an account with many contacts leaves room for others.
-- A notifier of the version before goes on beside this: its letters are in order of the time at which they are queued.
ALTER TABLE notifier.emails ADD COLUMN IF NOT EXISTS order_at timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN notifier.emails.order_at IS
    'of the letters that are due the one with the least is taken first: later for each further letter of an account';
CREATE INDEX CONCURRENTLY IF NOT EXISTS emails_in_order ON notifier.emails (order_at) WHERE state = 'queued';
