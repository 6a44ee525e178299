-- Which of these roles the server does not have.
-- $1 names text[]
SELECT r.name
FROM unnest($1::text[]) AS r (name)
WHERE NOT EXISTS (SELECT FROM pg_roles p WHERE p.rolname = r.name)
ORDER BY r.name
