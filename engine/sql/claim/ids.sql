-- The jobs of claim $2 of worker $1 whose attempts have not ended.
-- Caller: store/claim/rescue.rs
select u.job_id
from engine.claim c, unnest(c.ids, c.attempts) u (job_id, attempt)
where c.worker_id = $1 and c.id = $2
  and not exists (select from engine.attempt a where a.job_id = u.job_id and a.attempt = u.attempt)
order by u.job_id
