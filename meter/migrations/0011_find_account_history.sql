-- outside a transaction: on a large log the index takes minutes, while readers go on.
-- What happened to one account besides its usage: a few events each, which only this index has by account. Usage is not in
-- it, so nothing is dearer on the way of usage into the log. The view projections.account_history names the same types.
CREATE INDEX CONCURRENTLY IF NOT EXISTS events_of_account
    ON meter.events (account_id, position) WHERE type IN (10, 11, 13, 14, 15, 17, 18);
