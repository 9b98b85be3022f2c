-- Give back the unfinished jobs of claim $2 of dead worker $1; only those in $3, when it is given.
-- Lost for the first time: ready again at once, in front of its lane. Lost again: scheduled to run alone after 1 s, then 5 s.
-- Lost three times while alone: a dead letter of category poison. Asked to cancel, or its unique key taken over: cancelled.
-- A job that was lost keeps the slot of its limit key: what its worker began may still be going on. Of a claim with runs it goes
-- back into its line instead, since of a run only the last holds the slot, which goes to the head of the line.
-- A workflow's count begins anew whenever it got on. The claim goes when every attempt of it is recorded.
-- Returns how many attempts this call ended.
-- Locks: the claim, unless single jobs are named; attempt keys in job order; what engine.give_back locks. Caller: store/claim/rescue.rs
with held as materialized (
    select c.alone, c.in_runs, c.claimed_at, u.job_id, u.attempt
    from engine.claim c, unnest(c.ids, c.attempts) u (job_id, attempt)
    where c.worker_id = $1 and c.id = $2 and ($3::bigint[] is null or u.job_id = any ($3))
      and u.job_id is not null and u.attempt is not null
      and not exists (select from engine.attempt a where a.job_id = u.job_id and a.attempt = u.attempt)
),
verdict as materialized (
    select h.job_id, h.attempt, h.alone, h.in_runs, h.claimed_at, engine.now() as at, j.lane_id, j.args, j.unique_key, j.limit_key,
        l.queue, l.kind, l.priority, p.lost, p.lost_alone + h.alone::integer as lost_alone,
        case
            when exists (select from engine.cancel_request r where r.job_id = h.job_id) then 'cancelled'
            when j.unique_key is not null
                and not exists (select from engine.unique_key u where u.job_id = h.job_id for key share) then 'cancelled'
            when p.lost_alone + h.alone::integer >= 3 then 'dead'
            else 'lost'
        end as outcome
    from held h
    cross join lateral (select * from engine.job where id = h.job_id offset 0) j
    join engine.lane l on l.id = j.lane_id
    cross join lateral (
        select count(*) as lost, count(*) filter (where a.category = 'poison') as lost_alone
        from engine.attempt a
        where a.job_id = h.job_id and a.outcome = 'lost' and a.attempt >= coalesce(
            (select s.attempt from engine.step s where s.job_id = h.job_id order by s.position desc limit 1), 0)
    ) p
),
done as (
    insert into engine.attempt (job_id, attempt, worker_id, started_at, finished_at, outcome, category, error)
    select job_id, attempt, $1, claimed_at, at, outcome, case when alone then 'poison' end,
        case when outcome <> 'cancelled' then format('worker %s died while it held this job', $1)
            else coalesce((select concat_ws(': ', format('cancelled by %s', r.requested_by), r.reason) from engine.cancel_request r
                           where r.job_id = verdict.job_id), 'a newer job took its unique key over') end
    from verdict
    order by job_id, attempt
    on conflict do nothing
    returning job_id, attempt
),
kept as materialized (
    select v.* from verdict v where (v.job_id, v.attempt) in (select job_id, attempt from done)
),
slotless as materialized (
    select k.job_id, k.lane_id, k.attempt, k.limit_key, k.outcome from kept k
    cross join lateral engine.limit_of_key(k.limit_key) l
    where k.limit_key is not null and (k.outcome in ('cancelled', 'dead') or (k.outcome = 'lost' and k.lost = 0 and (l.cap = 0 or k.in_runs)))
),
back as (
    insert into engine.ready (lane_id, attempt, position, job_id)
    select lane_id, attempt + 1, engine.position_of_return(attempt + 1), job_id from kept
    where outcome = 'lost' and lost = 0 and job_id not in (select job_id from slotless)
    order by job_id
    returning 1
),
-- What was lost of a run, or of a key that is held, waits at the head.
back_in_line as (
    insert into engine.waiting (position, job_id, lane_id, attempt, limit_key)
    select engine.head_of_line(job_id), job_id, lane_id, attempt + 1, limit_key from slotless where outcome = 'lost'
    returning 1
),
suspects as (
    insert into engine.scheduled (run_at, job_id, lane_id, attempt, alone, keyed)
    select at + case when lost_alone = 0 then interval '1 second' else interval '5 seconds' end, job_id, lane_id, attempt + 1, true,
        limit_key is not null
    from kept where outcome = 'lost' and lost > 0
),
-- It is counted against the rate of its key once more, and until then its share is nobody else's (waiting/admit.sql).
uncharged as (
    update engine.slot set charged = false
    where charged and job_id = any (array(select job_id from kept where outcome = 'lost' and lost > 0))
),
letters as (
    insert into engine.dead_letter_queue
        (source, topic, payload, error_message, retries, job_id, queue, category, fingerprint, attempts, priority, unique_key, limit_key)
    select 'engine', kind, args, format('the worker died %s times while it ran this job alone', lost_alone), lost_alone - 1,
        job_id, queue, 'poison', md5(concat_ws('|', kind, 'poison')), attempt, priority, unique_key, limit_key
    from kept where outcome = 'dead'
),
noticed as (
    insert into engine.notice (at, level, job_id, attempt, queue, kind, category, error)
    select at, 'escalate', job_id, attempt, queue, kind, 'poison', format('the worker died %s times while it ran this job alone', lost_alone)
    from kept where outcome = 'dead'
),
freed as (
    delete from engine.unique_key where job_id in (select job_id from kept where outcome in ('cancelled', 'dead'))
),
answered as (
    delete from engine.cancel_request where job_id in (select job_id from kept where outcome in ('cancelled', 'dead'))
),
child as (
    delete from engine.child where job_id in (select job_id from kept where outcome in ('cancelled', 'dead')) returning *
),
told as (
    insert into engine.child_end (parent_id, position, n, job_id, ended_at, outcome, category, error, output)
    select c.parent_id, c.position, c.n, c.job_id, k.at, k.outcome, case when k.outcome = 'dead' then 'poison' end, case when k.outcome = 'dead' then format('the worker died %s times while it ran this job alone', k.lost_alone) end, null::jsonb from child c join kept k on k.job_id = c.job_id
),
followed as (
    insert into engine.aftermath (job_id, ended_at)
    select k.job_id, k.at from kept k where k.outcome in ('cancelled', 'dead') and exists (select from engine.step s where s.job_id = k.job_id)
    on conflict do nothing
),
permits as (
    insert into engine.permit (claim_id, setting_id, jobs)
    select $2, p.setting_id, -d.jobs
    from (select count(*)::integer as jobs from done) d
    cross join (select distinct setting_id from engine.permit where claim_id = $2 and not counted) p
    where d.jobs > 0
),
given_back as materialized (
    -- Counted first, so that the slot goes to the first of them.
    select engine.give_back(array(select job_id from slotless)) from (select count(*) from back_in_line) placed where exists (select from slotless)
),
woken as (
    select engine.wake() from (select 1 from back limit 1) any_back
)
select (select count(*) from done) as ended, (select count(*) from woken) + (select count(*) from given_back) as woken
