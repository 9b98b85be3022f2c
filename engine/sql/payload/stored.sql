-- Arguments that a worker may yet have to decode: of jobs past $1 that have not ended, and of open dead letters, also those
-- whose job is forgotten; in order of the job; at most $2.
-- Caller: store/payload.rs
select p.job_id, p.kind, p.letter_id,
    coalesce((select s.result -> 'args' from engine.step s where s.job_id = p.job_id and s.kind = 'continue'), p.args)::text as args
from (
    (select j.id as job_id, l.kind, d.id as letter_id, j.args
     from engine.job j
     join engine.lane l on l.id = j.lane_id
     left join engine.dead_letter_queue d on d.job_id = j.id and not d.resolved
     where j.id > $1
       and (d.id is not null
            or not exists (select from engine.attempt a where a.job_id = j.id and a.outcome in ('completed', 'cancelled', 'dead')))
     order by j.id
     limit $2)
    union all
    (select d.job_id, d.topic, d.id, d.payload
     from engine.dead_letter_queue d
     where d.job_id > $1 and not d.resolved and not exists (select from engine.job j where j.id = d.job_id)
     order by d.job_id
     limit $2)
) p
order by p.job_id
limit $2
