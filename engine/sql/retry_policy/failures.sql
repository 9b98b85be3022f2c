-- Every failure of the jobs that failed with category $1, of kind $2 where it is given, in the last $3 days; in order of
-- job and attempt. `used` counts the failures of the job so far, as the policy does: a workflow's since it last got on.
-- `concerned` marks those that a draft for the category would have decided. Category `default` stands for those without a row of their own.
-- Reads the days of the ledger: with 900,000 attempts, 220,000 of them concerned, some seconds. Caller: store/retry_policy.rs
with concerned as materialized (
    select a.job_id, a.attempt
    from engine.attempt a
    join engine.job j on j.id = a.job_id
    join engine.lane l on l.id = j.lane_id
    where a.finished_at >= (select engine.now()) - $3 * interval '1 day'
      and a.outcome in ('failed', 'dead')
      and ($2::text is null or l.kind = $2)
      and (a.category = $1
           or $1 = 'default' and not exists (select from engine.retry_config c where c.error_category = a.category))
)
select a.job_id, l.kind, a.category, a.outcome = 'dead' as died, a.finished_at, j.max_attempts as cap,
    extract(epoch from j.deadline - a.finished_at)::float8 as left_s,
    row_number() over (partition by a.job_id, g.attempt order by a.attempt) as used,
    c.job_id is not null as concerned,
    exists (select from engine.retry_override o where o.kind = l.kind and o.error_category = a.category) as overridden,
    (select e.outcome from engine.attempt e
     where e.job_id = a.job_id and e.outcome in ('completed', 'cancelled', 'dead') limit 1) as ended
from engine.attempt a
join engine.job j on j.id = a.job_id
join engine.lane l on l.id = j.lane_id
left join concerned c on c.job_id = a.job_id and c.attempt = a.attempt
cross join lateral (
    select max(s.attempt) as attempt from engine.step s where s.job_id = a.job_id and s.attempt <= a.attempt
) g
where a.job_id in (select job_id from concerned) and a.outcome in ('failed', 'dead')
order by a.job_id, a.attempt
