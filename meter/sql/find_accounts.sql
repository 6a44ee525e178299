-- Accounts whose id, plan, name or contacts hold a text, in any case of letters, those whose id begins with it first.
-- $1 text text, $2 limit bigint
SELECT v.account_id, v.plan, v.display_name, v.opened_at
FROM projections.accounts v
JOIN projections.account_states s ON s.account_id = v.account_id
WHERE position(lower($1) IN lower(v.account_id)) > 0
   OR position(lower($1) IN lower(v.plan)) > 0
   OR position(lower($1) IN lower(coalesce(v.display_name, ''))) > 0
   OR EXISTS (SELECT FROM jsonb_array_elements_text(s.contacts) AS c (address) WHERE position(lower($1) IN lower(c.address)) > 0)
ORDER BY starts_with(lower(v.account_id), lower($1)) DESC, v.account_id
LIMIT $2
