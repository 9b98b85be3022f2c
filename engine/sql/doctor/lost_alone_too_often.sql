-- Jobs whose worker died more than three times while it ran them alone: the budget of suspects did not hold.
-- Scans attempt for the lost ones. Caller: store/doctor.rs
select job_id, format('its worker died %s times while it ran alone, and three times is the end', count(*)) as detail
from engine.attempt
where category = 'poison' and outcome in ('lost', 'dead')
group by job_id
having count(*) > 3
order by job_id
limit 100
