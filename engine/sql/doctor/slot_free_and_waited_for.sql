-- Jobs at the head of their key's queue while the key has free slots, for 30 s and more, and a worker lives that should
-- have let them in. Walks the keys of waiting. Caller: store/doctor.rs
with late as (
    select (select engine.now()) - interval '30 seconds' as than
),
head as materialized (
    select distinct on (limit_key) limit_key, job_id from engine.waiting order by limit_key, position
),
stuck as materialized (
    select h.limit_key, h.job_id, l.cap, s.taken
    from head h
    cross join lateral engine.limit_of_key(h.limit_key) l
    cross join lateral (select count(*) as taken from engine.slot where limit_key = h.limit_key) s
    join engine.job j on j.id = h.job_id
    cross join late
    where s.taken < l.cap and j.created_at < late.than
      and not exists (select from engine.attempt a where a.job_id = h.job_id and a.finished_at >= late.than)
      and exists (select from engine.worker w where w.dead_at is null and w.lease_until > late.than + interval '30 seconds' and w.started_at < late.than)
)
select job_id, format('waits for a slot of limit key %s, and of %s slots %s are taken', limit_key, cap, taken) as detail
from stuck
order by job_id
limit 100
