-- An event, once by its id; returns it when it is new.
-- $1 uuid, $2 text: account, $3 text: type, $4 smallint: resource, $5 bigint: amount, $6 timestamptz, $7 text, $8 jsonb
INSERT INTO peer.events (event_id, account_id, type, resource, amount, occurred_at, source, data)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (event_id) DO NOTHING
RETURNING event_id
