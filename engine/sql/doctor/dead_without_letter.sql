-- Attempts that ended as dead without a dead letter: a failure nobody is told of. Scans attempt for the dead ones.
-- Caller: store/doctor.rs
with silent as materialized (
    select a.job_id, a.attempt, a.category from engine.attempt a
    where a.outcome = 'dead'
      and not exists (select from engine.dead_letter_queue d where d.job_id = a.job_id and d.source = 'engine')
)
select job_id, format('attempt %s ended as dead (%s) and left no dead letter', attempt, coalesce(category, 'no category')) as detail
from silent
order by job_id
limit 100
