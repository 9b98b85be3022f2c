-- Jobs with a limit key that may run, or run, without a slot of it: more than its limit could run at once. Those of a run have
-- the slot of its last.
-- Scans ready, claim and the jobs in them. Caller: store/doctor.rs
with standing as materialized (
    select job_id, 'ready' as name, null::bigint[] as run from engine.ready
    union all
    select u.job_id, format('claim %s of worker %s', c.id, c.worker_id), case when c.in_runs then c.ids end
    from engine.claim c, unnest(c.ids, c.attempts) u (job_id, attempt)
    where not exists (select from engine.attempt a where a.job_id = u.job_id and a.attempt = u.attempt)
),
bare as materialized (
    select s.job_id, s.name, j.limit_key from standing s
    join engine.job j on j.id = s.job_id
    where j.limit_key is not null and not exists (select from engine.slot t where t.job_id = s.job_id)
      and not exists (select from engine.slot t where t.limit_key = j.limit_key and t.job_id = any (s.run))
)
select job_id, format('stands in %s and holds no slot of its limit key %s', name, limit_key) as detail
from bare
order by job_id, name
limit 100
