-- From which step job $1 runs a workflow again.
-- Index: restart_pkey. Caller: store/workflow.rs
select job_id, restarted_from, from_step from engine.restart where job_id = $1
