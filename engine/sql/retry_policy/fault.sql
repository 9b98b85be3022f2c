-- What is wrong with attempts $1, delays $2, alert $3 and escalate $4 of a policy; null when nothing is.
-- Caller: store/retry_policy.rs
select engine.retry_policy_fault($1, $2, $3, $4) as fault
