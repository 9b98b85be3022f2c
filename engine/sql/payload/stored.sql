-- Arguments that a worker may yet have to decode: of jobs past $1 that have not ended, and of open dead letters, in
-- order of the job; at most $2.
-- Caller: store/payload.rs
select j.id as job_id, l.kind, d.id as letter_id,
    coalesce((select s.result -> 'args' from engine.step s where s.job_id = j.id and s.kind = 'continue'), j.args)::text as args
from engine.job j
join engine.lane l on l.id = j.lane_id
left join engine.dead_letter_queue d on d.job_id = j.id and not d.resolved
where j.id > $1
  and (d.id is not null
       or not exists (select from engine.attempt a where a.job_id = j.id and a.outcome in ('completed', 'cancelled', 'dead')))
order by j.id
limit $2
