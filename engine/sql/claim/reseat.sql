-- The slot that job $5 of a run holds, attempt $6, goes to job $3, attempt $4, which runs before it and takes its time. Both are in
-- claim $2 of worker $1. No row: one has ended, or they are somebody else's by now. lock_job.sql keeps out what could change that.
-- Locks: the claim row, key share; the slot. Caller: store/claim/reseat.rs
with held as materialized (
    select c.id from engine.claim c
    where c.worker_id = $1 and c.id = $2 and c.ids @> array[$3::bigint, $5::bigint]
      and exists (select from engine.worker w where w.id = $1 and w.dead_at is null)
      and not exists (
          select from engine.attempt a
          where (a.job_id = $3 and a.attempt = $4) or (a.job_id = $5 and a.attempt = $6))
    for key share of c
)
update engine.slot set job_id = $3 where job_id = $5 and exists (select from held) returning job_id
