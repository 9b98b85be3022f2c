-- How many live workers know kind $2, and how many of those serve queue $1.
-- Caller: store/why.rs
select count(*) filter (where w.info -> 'kinds' ? $2) as know,
    count(*) filter (where w.info -> 'kinds' ? $2 and w.info -> 'queues' ? $1) as serve
from engine.worker w
where w.dead_at is null and w.lease_until > (select engine.now())
  and jsonb_typeof(w.info -> 'kinds') = 'array' and jsonb_typeof(w.info -> 'queues') = 'array'
