-- Record attempts of any outcome and do what follows from it, in one statement:
-- failed -> scheduled by the retry policy, or dead with its letter; snoozed -> scheduled; released -> ready, in front, or, if it was
-- a suspect, scheduled to run alone; waiting -> parked, or scheduled while it sleeps, or ready when its event has come; a cancel
-- request turns all four into cancelled, and so does, but for the last, a newer job that took the unique key over meanwhile. A
-- retry that would come after the deadline is not made, and the hundred thousandth snooze of a job is its last: both die. The slot of
-- a limit key is given back, unless the job goes on at once, is a suspect or its limit keeps the order of jobs over retries and waits.
-- $2 jobs, $3 attempts, $4 run time (us), $5 outcomes, $6 categories, $7 errors, $8 delays in ms (snooze, Retry-After),
-- $9 jitter 0..1, $10 outputs, $11 claims now finished, $12 when the waiting wake, $13 what they wait for (null: the time),
-- $14 the steps that made the children they wait for, $15 those that may have permits of their queue or kind, $16 their claims,
-- $17 those that were in a run, of which only the last has the slot: they go back into their line even if they go on at once.
-- $18: how long it waits for a lock.
-- The failures of a worker that was declared dead are not recorded.
-- The policy: retry_override (kind, category), else retry_config (category), else its row `default`. A workflow's failures
-- count since it last got on.
-- Returns the attempts that were ended by somebody else before, or will be by a rescue.
-- Locks: waits, skip locked; attempt keys in job order; claims, skip locked; what engine.give_back locks.
-- Caller: store/attempt.rs
with given as materialized (
    select u.*, c.at
    from (select engine.now() as at, set_config('lock_timeout', $18::text, true) as patience) c
    cross join unnest($2::bigint[], $3::integer[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::float8[], $10::jsonb[],
            $12::timestamptz[], $13::text[], $14::text[])
        u (job_id, attempt, run_us, outcome, category, error, delay_ms, jitter, output, wake_at, waits_for, children)
    where c.patience is not null
),
-- A wait that is not here any more, or that somebody takes away at this moment, has its event: the job looks for itself.
unmet as materialized (
    select w.job_id from engine.event_wait w
    where w.job_id in (select job_id from given where waits_for = 'event')
    for key share skip locked
),
verdict as materialized (
    select g.job_id, g.attempt, g.run_us, g.at, g.output, g.wake_at, g.waits_for, g.children, d.run_at,
        j.lane_id, j.args, j.unique_key, j.limit_key, l.queue, l.kind, l.priority, f.used, p.version, p.alert_on, p.escalate_on,
        case
            when g.outcome in ('failed', 'snoozed', 'released', 'waiting')
                and exists (select from engine.cancel_request r where r.job_id = g.job_id) then 'cancelled'
            when g.outcome in ('failed', 'snoozed', 'released') and k.superseded then 'cancelled'
            when g.outcome = 'failed' and (d.run_at > j.deadline
                or f.used >= least(coalesce(p.max_attempts, 5), coalesce(j.max_attempts, 32767))) then 'dead'
            when z.snoozes >= 100000 then 'dead'
            else g.outcome
        end as outcome,
        case when z.snoozes >= 100000 then 'bug' else g.category end as category,
        case
            when k.superseded then coalesce('job ' || k.by_id || ' took its unique key over', 'a newer job took its unique key over')
            when z.snoozes >= 100000 then format('snoozed %s times, as often as a job may', z.snoozes)
            else g.error
        end as error
    from given g
    cross join lateral (select * from engine.job where id = g.job_id offset 0) j
    join engine.lane l on l.id = j.lane_id
    left join lateral (
        select 1 + count(*) as used from engine.attempt a
        where a.job_id = g.job_id and a.outcome = 'failed' and a.attempt >= coalesce(
            (select s.attempt from engine.step s where s.job_id = g.job_id order by s.position desc limit 1), 0)
    ) f on g.outcome = 'failed'
    left join lateral (
        select c.max_attempts, c.backoff_seconds, c.version,
            -- An override that says nothing of alerts leaves them to the category.
            case when c.rank > 1 or c.alert_on is not null then c.alert_on else lead(c.alert_on) over (order by c.rank) end as alert_on,
            case when c.rank > 1 or c.escalate_on is not null then c.escalate_on else lead(c.escalate_on) over (order by c.rank) end as escalate_on
        from (
            select 1 as rank, o.max_attempts, o.backoff_seconds, o.version, o.alert_on_attempt as alert_on, o.escalate_on_attempt as escalate_on
            from engine.retry_override o where o.kind = l.kind and o.error_category = g.category
            union all
            select 2, r.max_attempts, r.backoff_seconds, r.version, r.alert_on_attempt, r.escalate_on_attempt
            from engine.retry_config r where r.error_category = g.category
            union all
            select 3, r.max_attempts, r.backoff_seconds, r.version, r.alert_on_attempt, r.escalate_on_attempt
            from engine.retry_config r where r.error_category = 'default'
        ) c order by c.rank limit 1
    ) p on g.outcome = 'failed'
    left join lateral (
        -- What is not there any more of the attempts before this one are snoozes; of a workflow, since it last got on.
        select g.attempt - t.last - (
            select count(*) from engine.attempt a where a.job_id = g.job_id and a.attempt > t.last and a.outcome <> 'snoozed') as snoozes
        from (select coalesce(
            (select s.attempt from engine.step s where s.job_id = g.job_id order by s.position desc limit 1), 0) as last) t
    ) z on g.outcome = 'snoozed'
    left join lateral (
        -- Only a row that is locked is seen as it is now: the key may have gone over since, and is still this job's to the other.
        select not exists (select from engine.unique_key u where u.job_id = g.job_id for key share) as superseded,
            (select u.job_id from engine.unique_key u where u.kind = l.kind and u.key = j.unique_key and u.job_id <> g.job_id) as by_id
    ) k on j.unique_key is not null and g.outcome in ('failed', 'snoozed', 'released')
    cross join lateral (
        -- A delay is the policy's, or what the handler asked for, or the other side, whose wait is bounded and spread already
        -- (retry/asked.rs); ten years at most, so that it stays a date. A handler that does little but snooze is slowed down.
        select g.at + make_interval(secs => least(315360000, greatest(
            case when g.outcome = 'failed'
                then g.jitter * coalesce(p.backoff_seconds[least(f.used, cardinality(p.backoff_seconds))], 10)
                when z.snoozes > 100 then 1
                else 0 end,
            coalesce(g.delay_ms, 0) / 1000.0))) as run_at
    ) d
    -- What fails on a worker that was declared dead may fail for that: it was refused its writes. A rescue calls the attempt lost.
    where g.outcome <> 'failed' or not exists (select from engine.worker w where w.id = $1 and w.dead_at is not null)
),
done as (
    insert into engine.attempt
        (job_id, attempt, policy_version, worker_id, started_at, finished_at, outcome, category, error, output)
    select job_id, attempt, version, $1, at - run_us * interval '1 microsecond', at, outcome, category, error, output
    from verdict
    order by job_id, attempt
    on conflict do nothing
    returning job_id, attempt
),
kept as materialized (
    select v.*, s.is_suspect, (v.outcome = 'released' and not s.is_suspect)
        or (v.outcome = 'waiting' and v.waits_for is not distinct from 'event' and v.job_id not in (select job_id from unmet)) as goes_on
    from verdict v
    cross join lateral (
        select v.outcome = 'released' and exists (
            select from engine.claim c where c.worker_id = $1 and c.alone and v.job_id = any (c.ids)) as is_suspect
    ) s
    where (v.job_id, v.attempt) in (select job_id, attempt from done)
),
slotless as materialized (
    select k.job_id, k.lane_id, k.attempt, k.limit_key, k.goes_on from kept k
    cross join lateral engine.limit_of_key(k.limit_key) l
    where k.limit_key is not null and not k.is_suspect and (not k.goes_on or l.cap = 0 or k.job_id = any ($17))
      and not (l.in_order and (k.outcome in ('failed', 'snoozed')
          -- A child with the key of the workflow that waits for it could never run, nor one that such a child waits for.
          or (k.outcome = 'waiting' and not k.goes_on and not exists (
              select from engine.child c where c.parent_id = k.job_id))))
),
back as (
    insert into engine.ready (lane_id, attempt, position, job_id)
    select lane_id, attempt + 1,
        case when outcome = 'released' then engine.position_of_return(attempt + 1) else nextval('engine.position') end, job_id
    from kept
    where goes_on and job_id not in (select job_id from slotless)
    order by job_id
    returning 1
),
woken as materialized (
    select engine.wake() from (select 1 from back limit 1) any_back
),
-- What would go on of a run, or of a key that is held, waits at the head.
back_in_line as (
    insert into engine.waiting (position, job_id, lane_id, attempt, limit_key)
    select engine.head_of_line(job_id), job_id, lane_id, attempt + 1, limit_key from slotless where goes_on
    returning 1
),
later as (
    insert into engine.scheduled (alone, run_at, job_id, lane_id, attempt, keyed)
    select is_suspect, case when outcome = 'waiting' then wake_at else run_at end, job_id, lane_id, attempt + 1, limit_key is not null from kept
    where outcome in ('failed', 'snoozed') or (outcome = 'waiting' and waits_for is null) or is_suspect
),
-- A suspect is counted against the rate of its key once more, and until then its share is nobody else's (waiting/admit.sql).
uncharged as (
    update engine.slot set charged = false where charged and job_id = any (array(select job_id from kept where is_suspect))
),
parked as (
    insert into engine.parked (job_id, lane_id, attempt, waits_for, children, parked_at, wake_at)
    select job_id, lane_id, attempt + 1, waits_for, children::integer[], at, wake_at from kept
    where outcome = 'waiting' and (waits_for in ('children', 'child') or job_id in (select job_id from unmet))
),
letters as (
    insert into engine.dead_letter_queue
        (source, topic, payload, error_message, retries, job_id, queue, category, fingerprint, attempts, priority, unique_key, limit_key)
    select 'engine', kind, args, error, coalesce(used, 1) - 1, job_id, queue, category,
        md5(concat_ws('|', kind, category, regexp_replace(split_part(error, E'\n', 1), '[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|[0-9]+', '#', 'g'))),
        attempt, priority, unique_key, limit_key
    from kept where outcome = 'dead'
),
noticed as (
    insert into engine.notice (at, level, job_id, attempt, queue, kind, category, error)
    select at, case when used = escalate_on then 'escalate' when used = alert_on then 'alert' else 'dead' end,
        job_id, attempt, queue, kind, category, error
    from kept where outcome = 'dead' or (outcome = 'failed' and used in (alert_on, escalate_on))
),
freed as (
    delete from engine.unique_key
    where job_id in (select job_id from kept where outcome in ('completed', 'cancelled', 'dead'))
),
answered as (
    delete from engine.cancel_request
    where job_id in (select job_id from kept where outcome in ('completed', 'cancelled', 'dead'))
),
child as (
    delete from engine.child where job_id in (select job_id from kept where outcome in ('completed', 'cancelled', 'dead')) returning *
),
told as (
    insert into engine.child_end (parent_id, position, n, job_id, ended_at, outcome, category, error, output)
    select c.parent_id, c.position, c.n, c.job_id, k.at, k.outcome, k.category, k.error, k.output from child c join kept k on k.job_id = c.job_id
),
followed as (
    insert into engine.aftermath (job_id, ended_at)
    select k.job_id, k.at from kept k where k.outcome in ('cancelled', 'dead') and exists (select from engine.step s where s.job_id = k.job_id)
    on conflict do nothing
),
unproven as materialized (
    select c.id, u.job_id, u.attempt
    from engine.claim c, unnest(c.ids, c.attempts) u (job_id, attempt)
    where c.worker_id = $1 and c.id = any ($11) and (u.job_id, u.attempt) not in (select job_id, attempt from done)
),
closed as (
    delete from engine.claim where ctid = any (array(
        select c.ctid from engine.claim c
        where c.worker_id = $1 and c.id = any ($11)
          and c.id not in (
              select n.id from unproven n
              where not exists (select from engine.attempt a where a.job_id = n.job_id and a.attempt = n.attempt))
        for update of c skip locked))
    returning id
),
unpermitted as (
    delete from engine.permit where claim_id in (select id from closed)
),
thinned as materialized (
    select engine.collapse_snoozes(array_agg(job_id)) from kept where outcome in ('snoozed', 'waiting') and attempt % 16 = 0 having count(*) > 0
),
permits as (
    insert into engine.permit (claim_id, setting_id, jobs)
    select e.claim_id, p.setting_id, -e.jobs
    from (select u.claim_id, count(*)::integer as jobs
          from unnest($15::bigint[], $16::bigint[]) u (job_id, claim_id)
          join done d on d.job_id = u.job_id
          where u.claim_id not in (select id from closed)
          group by u.claim_id) e
    cross join lateral (select distinct setting_id from engine.permit where claim_id = e.claim_id and not counted) p
),
given_back as materialized (
    -- Counted first, so that the slot goes to the first of them.
    select engine.give_back(array(select job_id from slotless)) from (select count(*) from back_in_line) placed where exists (select from slotless)
)
select job_id, attempt from given
where (job_id, attempt) not in (select job_id, attempt from done)
  and (select count(*) from thinned) >= 0 and (select count(*) from woken) >= 0 and (select count(*) from given_back) >= 0
