-- The statement that gives a role its password (a SCRAM verifier: the password itself never reaches the server's log).
-- $1 role text, $2 verifier text
SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text)
