-- One job: what it is and where it stands.
-- Caller: store/job.rs
select s.id, s.queue, s.kind, s.priority, s.state, s.attempt, s.created_at, s.run_at, s.worker_id, s.claimed_at, s.finished_at, s.category,
    s.error, s.args, s.output, s.unique_key, s.limit_key, s.parent_id, s.requeued_from, j.deadline
from engine.job_state s
join engine.job j on j.id = s.id
where s.id = $1
