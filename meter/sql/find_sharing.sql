-- Other accounts that have one of these addresses as a contact, whatever the case of its letters.
-- $1 addresses in small letters text[], $2 account that is not asked for text, $3 limit bigint
SELECT s.account_id
FROM projections.account_states s
WHERE s.account_id <> $2
  AND EXISTS (SELECT FROM jsonb_array_elements_text(s.contacts) AS c (address) WHERE lower(c.address) = ANY ($1))
ORDER BY s.account_id
LIMIT $3
