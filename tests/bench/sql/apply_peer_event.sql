-- An event, once by its id, and the balance with it: one statement, for executemany.
-- $1 uuid, $2 text: account, $3 text: type, $4 smallint: resource, $5 bigint: amount, $6 timestamptz, $7 text, $8 jsonb
WITH added AS (
    INSERT INTO peer.events (event_id, account_id, type, resource, amount, occurred_at, source, data)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (event_id) DO NOTHING
    RETURNING account_id, resource, amount
)
UPDATE peer.balances b SET consumed = b.consumed + added.amount
FROM added
WHERE b.account_id = added.account_id AND b.resource = added.resource
