-- The jobs of claim $2 of worker $1 whose attempts have not ended, by what can be rescued together: those of one limit key in a
-- claim with runs, for one of them may still be going on while another has their slot; any other job by itself.
-- A pair of which one half is missing is nobody's attempt.
-- Caller: store/claim/rescue.rs
select array_agg(u.job_id order by u.job_id) as jobs
from engine.claim c
cross join unnest(c.ids, c.attempts) u (job_id, attempt)
left join lateral (select limit_key from engine.job where id = u.job_id and c.in_runs offset 0) j on true
where c.worker_id = $1 and c.id = $2
  and u.job_id is not null and u.attempt is not null
  and not exists (select from engine.attempt a where a.job_id = u.job_id and a.attempt = u.attempt)
group by j.limit_key, case when j.limit_key is null then u.job_id end
order by min(u.job_id)
