-- Workflows that were cancelled or died more than five minutes ago, and whose undoing is not enqueued although no child of
-- theirs is left, while a worker lives that should have done it. Reads aftermath whole. Caller: store/doctor.rs
with late as materialized (
    select engine.now() - interval '5 minutes' as at
)
select a.job_id, format('ended at %s, and what is left to do after it is not done', date_trunc('milliseconds', a.ended_at)) as detail
from engine.aftermath a
where a.ended_at < (select at from late)
  and not exists (select from engine.child c where c.parent_id = a.job_id and not c.stays)
  and exists (
      select from engine.worker w where w.dead_at is null and w.lease_until > engine.now() and w.started_at < (select at from late))
order by a.job_id
limit 100
