-- Permits of jobs that do not run: their queue or kind runs fewer at once than it may. Reads permit and claim.
-- Caller: store/doctor.rs
with running as materialized (
    select u.job_id from engine.claim c, unnest(c.ids, c.attempts) u (job_id, attempt)
    where not exists (select from engine.attempt a where a.job_id = u.job_id and a.attempt = u.attempt)
)
select p.job_id, format('has a permit of limit %s and does not run', p.setting_id) as detail
from engine.permit p
where not exists (select from running r where r.job_id = p.job_id)
order by p.job_id, p.setting_id
limit 100
