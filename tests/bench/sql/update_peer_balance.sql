-- Add to what an account has used.
-- $1 text: account, $2 smallint: resource, $3 bigint: amount
UPDATE peer.balances SET consumed = consumed + $3 WHERE account_id = $1 AND resource = $2
