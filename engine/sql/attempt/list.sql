-- The attempts of job $1 that have ended, in their order.
-- Caller: store/job.rs
select attempt, outcome, started_at, finished_at, worker_id, category, error, policy_version, output
from engine.attempt where job_id = $1
order by attempt
