-- Whether the session is the owner's own.
SELECT session_user = 'credit_owner'
