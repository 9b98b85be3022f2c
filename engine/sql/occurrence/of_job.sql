-- The time of a schedule that job $1 was made for.
-- Index: occurrence_of_job. Caller: store/occurrence.rs
select o.schedule, o.occurrence, o.fired_at, o.job_id, o.how, o.by, o.note, s.state, s.finished_at
from engine.occurrence o
left join engine.job_state s on s.id = o.job_id
where o.job_id = $1
