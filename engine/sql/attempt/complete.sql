-- Record attempts that completed: $2 jobs, $3 attempts, $4 run time in microseconds, $5 outputs.
-- $6 are the jobs among them that hold a unique key, $7 the claims whose jobs are now all finished, $8 the jobs made on
-- behalf of another, among them children of workflows, $9 those that hold a slot of their limit key, which goes to the next
-- job of the key. $10 are those that may have permits of their queue or kind, and $11 their claims. $12: up to which position
-- the line of each of $9 was taken, 0 where nobody knows. $13: how long it waits for a lock, null: as long as its transaction does.
-- Returns the attempts that were ended by somebody else before: their results came too late.
-- Locks: attempt keys in job order; claims, skip locked; what engine.give_back locks. Caller: store/attempt.rs
with given as materialized (
    select u.job_id, u.attempt, u.run_us, u.output, c.at
    from (select engine.now() as at, set_config('lock_timeout', coalesce($13::text, current_setting('lock_timeout')), true) as patience) c
    cross join unnest($2::bigint[], $3::integer[], $4::bigint[], $5::jsonb[]) u (job_id, attempt, run_us, output)
    where c.patience is not null
),
done as (
    insert into engine.attempt (job_id, attempt, worker_id, started_at, finished_at, outcome, output)
    select job_id, attempt, $1, at - run_us * interval '1 microsecond', at, 'completed', output
    from given
    order by job_id, attempt
    on conflict do nothing
    returning job_id, attempt
),
freed as (
    delete from engine.unique_key where job_id = any ($6) and job_id in (select job_id from done)
),
answered as (
    -- Most of the time there is none, and to look for each job would cost a tenth of the statement.
    delete from engine.cancel_request
    where (select exists (select from engine.cancel_request
            where job_id between (select min(job_id) from done) and (select max(job_id) from done)))
      and job_id in (select job_id from done)
),
child as (
    delete from engine.child where job_id = any ($8) and job_id in (select job_id from done) returning *
),
told as (
    insert into engine.child_end (parent_id, position, n, job_id, ended_at, outcome, output)
    select c.parent_id, c.position, c.n, c.job_id, g.at, 'completed', g.output from child c join given g on g.job_id = c.job_id
),
unproven as materialized (
    select c.id, u.job_id, u.attempt
    from engine.claim c, unnest(c.ids, c.attempts) u (job_id, attempt)
    where c.worker_id = $1 and c.id = any ($7) and (u.job_id, u.attempt) not in (select job_id, attempt from done)
),
closed as (
    delete from engine.claim where ctid = any (array(
        select c.ctid from engine.claim c
        where c.worker_id = $1 and c.id = any ($7)
          and c.id not in (
              select n.id from unproven n
              where not exists (select from engine.attempt a where a.job_id = n.job_id and a.attempt = n.attempt))
        for update of c skip locked))
    returning id
),
unpermitted as (
    delete from engine.permit where claim_id in (select id from closed)
),
permits as (
    insert into engine.permit (claim_id, setting_id, jobs)
    select e.claim_id, p.setting_id, -e.jobs
    from (select u.claim_id, count(*)::integer as jobs
          from unnest($10::bigint[], $11::bigint[]) u (job_id, claim_id)
          join done d on d.job_id = u.job_id
          where u.claim_id not in (select id from closed)
          group by u.claim_id) e
    cross join lateral (select distinct setting_id from engine.permit where claim_id = e.claim_id and not counted) p
),
given_back as materialized (
    select engine.give_back(array_agg(u.job_id), array_agg(u.floor))
    from unnest($9::bigint[], $12::bigint[]) u (job_id, floor) join done d on d.job_id = u.job_id
    where cardinality($9::bigint[]) > 0
    having count(*) > 0
)
select job_id, attempt from given
-- In this order: the slots are given back whether or not all attempts were recorded here.
where case when (select count(*) from given_back) >= 0 then (select count(*) from done) < cardinality($2::bigint[]) end
  and (job_id, attempt) not in (select job_id, attempt from done)
