-- Jobs that stand nowhere and have not ended: lost. Scans job, attempt and every place.
-- Caller: store/doctor.rs
with standing as materialized (
    select job_id from engine.place
),
missing as materialized (
    select j.id from engine.job j
    where not exists (select from standing s where s.job_id = j.id)
      and not exists (select from engine.attempt a where a.job_id = j.id and a.outcome in ('completed', 'cancelled', 'dead'))
)
select m.id as job_id,
    coalesce('stands nowhere, and its last attempt, ' || a.attempt || ', ended as ' || a.outcome, 'stands nowhere and never ran') as detail
from missing m
left join lateral (
    select attempt, outcome from engine.attempt where job_id = m.id order by attempt desc limit 1
) a on true
order by m.id
limit 100
