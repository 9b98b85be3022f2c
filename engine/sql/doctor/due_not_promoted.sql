-- Jobs due for more than 30 s that stand in scheduled, while a worker lives that should have promoted them.
-- Suspects wait for a worker of their kind and are left out. Index: scheduled_pkey. Caller: store/doctor.rs
with late as (
    select (select engine.now()) as now
)
select s.job_id, format('was due at %s and still stands in scheduled', date_trunc('milliseconds', s.run_at)) as detail
from engine.scheduled s
where s.run_at < (select now from late) - interval '30 seconds' and not s.alone
  and exists (
      select from engine.worker w
      where w.dead_at is null and w.lease_until > (select now from late) and w.started_at < (select now from late) - interval '30 seconds')
order by s.run_at, s.job_id
limit 100
