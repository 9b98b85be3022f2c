-- Claims of which every attempt was recorded and that still stand after a minute. Reads claim, attempt by key.
-- Caller: store/doctor.rs
select c.ids[1] as job_id,
    format('claim %s of worker %s stands although all its attempts are recorded; the first job is named here', c.id, c.worker_id) as detail
from engine.claim c
where c.claimed_at < (select engine.now()) - interval '1 minute'
  and not exists (
      select from unnest(c.ids, c.attempts) u (job_id, attempt)
      where not exists (select from engine.attempt a where a.job_id = u.job_id and a.attempt = u.attempt))
order by c.worker_id, c.id
limit 100
