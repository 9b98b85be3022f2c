-- One job: what it is and where it stands.
-- Caller: store/job.rs
select id, queue, kind, priority, state, attempt, created_at, run_at, worker_id, claimed_at, finished_at, category, error,
    args, output, unique_key, limit_key, parent_id, requeued_from
from engine.job_state where id = $1
