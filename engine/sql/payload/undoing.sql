-- Arguments of jobs that undo a workflow when it is cancelled or dies: of workflows that have not ended, and of those that are being
-- undone, or whose undoing died and may be tried again. Past compensation $3 of step $2 of workflow $1; at most $4.
-- Index: compensation_pkey. Caller: store/payload.rs
select c.job_id, c.kind, c.args::text as args, null::uuid as letter_id, c.position as undoes, c.n
from engine.compensation c
where (c.job_id, c.position, c.n) > ($1, $2, $3) and c.undone_at is null
  and (not exists (select from engine.attempt a where a.job_id = c.job_id and a.outcome in ('completed', 'cancelled', 'dead'))
       or exists (select from engine.aftermath a where a.job_id = c.job_id)
       or exists (select from engine.unique_key u where u.kind = 'engine.unwind' and u.key = c.job_id::text)
       or exists (select from engine.dead_letter_queue d
                  where d.topic = 'engine.unwind' and d.unique_key = c.job_id::text and not d.resolved))
order by c.job_id, c.position, c.n
limit $4
