-- outside a transaction: on a large log the index takes minutes, while readers go on.
-- Changes of an account's contacts, name and time zone, a few each: what came before the opening wins over it, which is remarked.
-- Beside events_of_account, which readers of before name the types of. Usage is not in it; a meter of the version before ignores it.
CREATE INDEX CONCURRENTLY IF NOT EXISTS events_of_people
    ON meter.events (account_id, position) WHERE type IN (12, 16);
