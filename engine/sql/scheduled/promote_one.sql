-- Move one due job into ready.
-- Locks: its row. Caller: store/scheduled.rs
with due as (
    delete from engine.scheduled where run_at = $1 and job_id = $2
    returning job_id, lane_id, attempt
)
insert into engine.ready (lane_id, attempt, position, job_id)
select lane_id, attempt, nextval('engine.position'), job_id from due
on conflict do nothing
