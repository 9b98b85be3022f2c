-- Overrides of the retry policy for kinds that no job and no worker ever had: a slip of the pen, or a kind yet to come.
-- Caller: store/doctor.rs
select null::bigint as job_id, format('retry_override, row %s of %s: no job and no worker has that kind', o.error_category, o.kind) as detail
from engine.retry_override o
where not exists (select from engine.lane l where l.kind = o.kind)
  and not exists (select from engine.worker w where jsonb_typeof(w.info -> 'kinds') = 'array' and w.info -> 'kinds' ? o.kind)
order by o.kind, o.error_category
limit 100
