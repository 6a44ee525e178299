-- Bounds what the readers of balances can take from the services: connections of all of them, and time of a statement.
-- The statement comes back as text, because ALTER ROLE takes no parameters. Null where it is so already: two setups must
-- not write the same row at once.
-- $1 connections int, $2 statement timeout in ms int
SELECT format('ALTER ROLE credit_reader CONNECTION LIMIT %s; ALTER ROLE credit_reader IN DATABASE %I SET statement_timeout = %s',
              $1::int, current_database(), $2::int)
WHERE NOT EXISTS (
    SELECT FROM pg_roles r
    JOIN pg_db_role_setting s ON s.setrole = r.oid
    JOIN pg_database d ON d.oid = s.setdatabase
    WHERE r.rolname = 'credit_reader' AND r.rolconnlimit = $1 AND d.datname = current_database()
      AND 'statement_timeout=' || $2 = ANY (s.setconfig))
