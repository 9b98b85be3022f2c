-- Kinds with jobs that may run now, or suspects that are due, which no live worker knows in that queue. The oldest job
-- of each is named. Reads the lanes of ready. Caller: store/doctor.rs
with live as materialized (
    select w.info from engine.worker w
    where w.dead_at is null and w.lease_until > (select engine.now())
      and jsonb_typeof(w.info -> 'kinds') = 'array' and jsonb_typeof(w.info -> 'queues') = 'array'
),
waiting as materialized (
    select l.queue, l.kind, r.jobs, r.oldest from engine.lane l
    cross join lateral (select count(*) as jobs, min(job_id) as oldest from engine.ready where lane_id = l.id) r
    where r.jobs > 0
    union all
    select l.queue, l.kind, count(*), min(s.job_id) from engine.scheduled s
    join engine.lane l on l.id = s.lane_id
    where s.alone and s.run_at < (select engine.now()) - interval '30 seconds'
    group by l.queue, l.kind
),
unserved as (
    select w.queue, w.kind, sum(w.jobs)::bigint as jobs, min(w.oldest) as oldest from waiting w
    where not exists (select from live where info -> 'kinds' ? w.kind and info -> 'queues' ? w.queue)
    group by w.queue, w.kind
)
select oldest as job_id,
    format('%s jobs of kind %s wait in queue %s, this one the longest, and no live worker %s', jobs, kind, queue,
           case when exists (select from live where info -> 'kinds' ? unserved.kind) then 'of that kind serves that queue'
                else 'knows that kind' end) as detail
from unserved
order by jobs desc, kind, queue
limit 100
