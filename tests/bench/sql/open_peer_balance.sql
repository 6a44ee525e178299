-- A balance of nothing used, once.
-- $1 text: account
INSERT INTO peer.balances (account_id, resource) SELECT $1, resource FROM (VALUES (1), (2)) r (resource)
ON CONFLICT (account_id, resource) DO NOTHING
