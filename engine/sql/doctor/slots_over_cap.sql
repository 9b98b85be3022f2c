-- Limit keys with more slots than their limit: it was lowered, and those above it run out. Reads slot.
-- Caller: store/doctor.rs
select min(s.job_id) as job_id, format('%s jobs of limit key %s hold a slot, and its limit is %s', count(*), s.limit_key, l.cap) as detail
from engine.slot s
cross join lateral engine.limit_of_key(s.limit_key) l
group by s.limit_key, l.cap
having count(*) > l.cap
order by s.limit_key
limit 100
