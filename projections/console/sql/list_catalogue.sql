-- Every item of an account, used or not, with its deployments. Since when it is deployed is what a platform tells: what no calendar of
-- all zones has (a zero time, the year 10000) is not shown.
-- $1 account text
SELECT kind, id, name, status, owner, type, language, version, reason,
       CASE WHEN deployed_at BETWEEN '0001-01-03Z' AND '9999-12-29Z' THEN deployed_at END AS deployed_at, deployment, first_used, hardware,
       replicas, cpus, memory_gb, told
FROM projections.catalogue WHERE account_id = $1
ORDER BY kind, name, id, deployment
