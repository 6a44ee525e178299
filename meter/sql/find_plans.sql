-- Whether an account has a plan, and a few of the plans that accounts have.
-- $1 plan text, $2 most bigint
SELECT EXISTS (SELECT 1 FROM projections.account_states WHERE plan = $1) AS is_known,
       ARRAY(SELECT DISTINCT plan FROM projections.account_states WHERE plan IS NOT NULL ORDER BY plan LIMIT $2) AS plans
