-- Where workflow $1 stands.
-- Caller: store/workflow.rs
select job_id, queue, kind, state, attempt, created_at, wakes_at, finished_at, category, error, steps,
    last_act, last_name, waits_for, event, event_key, children_open, children_ended, compensations, undone, restarted_from
from engine.workflow_state where job_id = $1
