-- Schedules that cannot fire: their line, their zone or their job is refused.
-- Caller: store/doctor.rs
select null::bigint as job_id, format('schedule %s cannot fire: %s', name, problem) as detail
from engine.schedule
where problem is not null and not paused
order by name
limit 100
