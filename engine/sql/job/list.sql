-- The newest jobs: in state $1, of kind $2, of queue $3 where given; at most $4.
-- Each state is looked for in its own place, newest id first there too, so that a short place beside a long ledger
-- is quick to list. Completed, cancelled and dead jobs are found by walking the ledger backwards.
-- Caller: store/job.rs
with found as materialized (
    (select r.job_id from engine.ready r join engine.lane l on l.id = r.lane_id
     where $1::text = 'ready' and ($2::text is null or l.kind = $2) and ($3::text is null or l.queue = $3)
     order by r.job_id desc limit $4)
    union all
    (select s.job_id from engine.scheduled s join engine.lane l on l.id = s.lane_id
     where $1 = 'scheduled' and ($2 is null or l.kind = $2) and ($3 is null or l.queue = $3)
     order by s.job_id desc limit $4)
    union all
    (select p.job_id from engine.parked p join engine.lane l on l.id = p.lane_id
     where $1 = 'parked' and ($2 is null or l.kind = $2) and ($3 is null or l.queue = $3)
     order by p.job_id desc limit $4)
    union all
    (select w.job_id from engine.waiting w join engine.lane l on l.id = w.lane_id
     where $1 = 'waiting' and ($2 is null or l.kind = $2) and ($3 is null or l.queue = $3)
     order by w.job_id desc limit $4)
    union all
    (select u.job_id from engine.claim c
     cross join unnest(c.ids, c.attempts) u (job_id, attempt)
     join engine.job j on j.id = u.job_id
     join engine.lane l on l.id = j.lane_id
     where $1 = 'running' and ($2 is null or l.kind = $2) and ($3 is null or l.queue = $3)
       and not exists (select from engine.attempt a where a.job_id = u.job_id and a.attempt = u.attempt)
     order by u.job_id desc limit $4)
    union all
    (select a.job_id from engine.attempt a
     join engine.job j on j.id = a.job_id
     join engine.lane l on l.id = j.lane_id
     where $1 in ('completed', 'cancelled', 'dead') and a.outcome = $1
       and ($2 is null or l.kind = $2) and ($3 is null or l.queue = $3)
     order by a.job_id desc limit $4)
    union all
    (select j.id from engine.job j join engine.lane l on l.id = j.lane_id
     where $1 is null and ($2 is null or l.kind = $2) and ($3 is null or l.queue = $3)
     order by j.id desc limit $4)
)
select s.id, s.queue, s.kind, s.priority, s.state, s.attempt, s.created_at, s.run_at, s.worker_id, s.claimed_at, s.finished_at,
    s.category, s.error
from engine.job_state s
where s.id in (select job_id from found)
order by s.id desc
