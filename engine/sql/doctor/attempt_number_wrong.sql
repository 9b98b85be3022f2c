-- Jobs whose next attempt is not numbered one above the last recorded one: the fence would not hold.
-- Scans every place; attempt by job, or whole when many jobs wait. Caller: store/doctor.rs
with place as materialized (
    select job_id, attempt, name from engine.place
),
wrong as materialized (
    select p.job_id, p.attempt, p.name from place p
    where p.attempt < 1
       or exists (select from engine.attempt a where a.job_id = p.job_id and a.attempt >= p.attempt)
    union
    select p.job_id, p.attempt, p.name from place p
    where p.attempt > 1
      and not exists (select from engine.attempt a where a.job_id = p.job_id and a.attempt = greatest(p.attempt, 1) - 1)
)
select w.job_id,
    format('stands in %s for attempt %s, and the last recorded attempt is %s', w.name, w.attempt, coalesce(l.last, 0)) as detail
from wrong w
cross join lateral (select max(attempt) as last from engine.attempt where job_id = w.job_id) l
order by w.job_id, w.name
limit 100
