-- Bounds what the readers of balances can take from the services: connections of all of them, and time of a statement.
-- The statement comes back as text, because ALTER ROLE takes no parameters.
-- $1 connections int, $2 statement timeout in ms int
SELECT format('ALTER ROLE credit_reader CONNECTION LIMIT %s; ALTER ROLE credit_reader SET statement_timeout = %s',
              $1::int, $2::int)
