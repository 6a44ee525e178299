-- outside a transaction: the indexes read all letters there ever were, which may take minutes, while letters are sent.
-- The letters of a day, to one address and of one account. A notifier of the version before goes on beside this: it does not ask.
CREATE INDEX CONCURRENTLY IF NOT EXISTS emails_to_address ON notifier.emails (lower(recipient), finished_at)
    WHERE state IN ('accepted', 'presumed');
CREATE INDEX CONCURRENTLY IF NOT EXISTS emails_sent_by_account ON notifier.emails (shard, account_id, finished_at)
    WHERE state IN ('accepted', 'presumed');
