-- Jobs that come up for the thousandth time or later: they snooze, or are sent back, on and on. A workflow may, which sleeps and waits.
-- Reads scheduled and ready. Caller: store/doctor.rs
with worn as (
    select job_id, attempt from engine.scheduled where attempt >= 1000
    union all
    select job_id, attempt from engine.ready where attempt >= 1000
)
select job_id, format('comes up for the %sth time and has not ended: what sends it back, or has it wait, does so on and on', attempt) as detail
from worn
where not exists (select from engine.step s where s.job_id = worn.job_id)
order by attempt desc, job_id
limit 100
