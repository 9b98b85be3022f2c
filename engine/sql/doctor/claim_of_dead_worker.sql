-- Claims of a worker that is declared dead or gone, 15 s and more after a rescue was due. Reads claim and worker.
-- Caller: store/doctor.rs
with late as (
    select (select engine.now()) - interval '15 seconds' as than
)
select c.ids[1] as job_id,
    format('claim %s of %s jobs, the first named here, belongs to worker %s, which is %s', c.id, cardinality(c.ids), c.worker_id,
           case when w.id is null then 'gone' else 'dead' end) as detail
from late
join engine.claim c on c.claimed_at < late.than
left join engine.worker w on w.id = c.worker_id
where w.id is null or w.dead_at < late.than
order by c.worker_id, c.id
limit 100
