-- Sleepers that are dead or gone: every enqueue pays for a notice that nobody hears. Reads idle and worker.
-- Caller: store/doctor.rs
select null::bigint as job_id, format('worker %s asks to be woken and is %s', i.worker_id, case when w.id is null then 'gone' else 'dead' end) as detail
from engine.idle i
left join engine.worker w on w.id = i.worker_id
where w.id is null or w.dead_at is not null
order by i.worker_id
limit 100
