-- All that undoes the steps of workflow $1.
-- Index: compensation_pkey. Caller: store/compensation.rs
select position, n, queue, kind, priority, args::text as args, max_attempts, limit_key
from engine.compensation where job_id = $1
