-- Who stands behind ids of contacts.
-- $1 contact_ids uuid[]
SELECT contact_id, contact FROM notifier.contacts WHERE contact_id = ANY($1)
