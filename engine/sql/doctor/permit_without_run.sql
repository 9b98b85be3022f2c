-- Claims that have permits for more or fewer jobs than run of them: their queue or kind runs fewer at once than it may, or more.
-- Of claims that are older than the limit the count is put right every few seconds (engine.count_permits), also of those that are gone since,
-- and a limit that is gone counts nothing.
-- Reads permit, claim and attempt. Caller: store/doctor.rs
with permitted as materialized (
    select claim_id, setting_id, sum(jobs) as jobs, coalesce(sum(jobs) filter (where not counted), 0) as taken
    from engine.permit group by claim_id, setting_id
),
running as materialized (
    select c.id as claim_id, count(*) as jobs from engine.claim c, unnest(c.ids, c.attempts) u (job_id, attempt)
    where c.id in (select claim_id from permitted)
      and not exists (select from engine.attempt a where a.job_id = u.job_id and a.attempt = u.attempt)
    group by c.id
)
select null::bigint as job_id,
    format('claim %s has %s permits of limit %s, and %s of its jobs run', p.claim_id, p.jobs, p.setting_id, coalesce(r.jobs, 0)) as detail
from permitted p
left join running r on r.claim_id = p.claim_id
where p.jobs <> coalesce(r.jobs, 0)
  and case when exists (select from engine.claim c where c.id = p.claim_id) then exists (
          select from engine.claim c
          left join engine.limit_setting s on s.id = p.setting_id
          where c.id = p.claim_id and (p.jobs < 0 or c.claimed_at >= coalesce(s.changed_at + interval '10 seconds', 'infinity')))
      else p.taken <> 0 end
order by p.claim_id, p.setting_id
limit 100
