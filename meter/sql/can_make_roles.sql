-- Whether the session may make roles; with whose name it signed in.
SELECT rolsuper OR rolcreaterole AS can, rolname AS name FROM pg_roles WHERE rolname = session_user
