-- The unfinished jobs of worker $1 in claims other than $2, those it knows of.
-- A pair of which one half is missing is nobody's attempt.
-- Caller: store/claim.rs
select c.id as claim_id, c.in_runs, u.job_id, u.attempt
from engine.claim c, unnest(c.ids, c.attempts) u (job_id, attempt)
where c.worker_id = $1 and c.id <> all ($2)
  and u.job_id is not null and u.attempt is not null
  and not exists (select from engine.attempt a where a.job_id = u.job_id and a.attempt = u.attempt)
order by u.job_id
