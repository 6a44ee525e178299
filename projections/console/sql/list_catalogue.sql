-- Every item of an account, used or not, with its deployments.
-- $1 account text
SELECT kind, id, name, status, owner, type, language, version, reason, deployed_at, deployment, first_used, hardware,
       replicas, cpus, memory_gb, told
FROM projections.catalogue WHERE account_id = $1
ORDER BY kind, name, id, deployment
