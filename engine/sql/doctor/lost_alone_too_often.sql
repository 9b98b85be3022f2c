-- Jobs whose worker died more than three times while it ran them alone: the budget of suspects did not hold. Of a
-- workflow only what was lost since it last got on counts.
-- Scans attempt for the lost ones. Caller: store/doctor.rs
select job_id, format('its worker died %s times while it ran alone, and three times is the end', count(*)) as detail
from engine.attempt a
where category = 'poison' and outcome in ('lost', 'dead')
  and attempt >= coalesce((select s.attempt from engine.step s where s.job_id = a.job_id order by s.position desc limit 1), 0)
group by job_id
having count(*) > 3
order by job_id
limit 100
