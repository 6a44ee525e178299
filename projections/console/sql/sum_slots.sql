-- Usage of an account within a time, by item and what it was used for.
-- $1 account text, $2 from timestamptz, $3 until timestamptz, $4 kind text or null (for all kinds)
SELECT resource, kind, item, deployment, category, status, sum(events)::bigint AS events, sum(amount) AS amount,
       sum(tokens_in) AS tokens_in, sum(tokens_out) AS tokens_out, sum(seconds) AS seconds, max(last_used) AS last_used
FROM projections.usage_by_slot
WHERE account_id = $1 AND slot >= $2 AND slot < $3 AND ($4::text IS NULL OR kind = $4)
GROUP BY item, deployment, kind, resource, category, status  -- items first: what differs most sorts fastest
