-- Move up to $2 due jobs later than $1 into ready, or into waiting where they have a limit key and no slot of it.
-- One asked to cancel ends here.
-- Returns how many left `scheduled` and the latest due time among them, the next call's floor.
-- Locks: rows of scheduled, skip locked; what engine.give_back locks. Index: scheduled_pkey from the floor.
-- Caller: store/scheduled.rs
with due as (
    delete from engine.scheduled where ctid = any (array(
        select ctid from engine.scheduled
        where run_at > $1 and run_at <= (select engine.now()) and not alone
        order by run_at
        limit $2
        for update skip locked))
    returning run_at, job_id, lane_id, attempt, keyed
),
stopped as materialized (
    select d.job_id, d.attempt, d.keyed from due d where d.job_id in (select job_id from engine.cancel_request)
),
ended as (
    insert into engine.attempt (job_id, attempt, started_at, finished_at, outcome)
    select job_id, attempt, engine.now(), engine.now(), 'cancelled' from stopped
    on conflict do nothing
),
freed as (
    delete from engine.unique_key where job_id in (select job_id from stopped)
),
answered as (
    delete from engine.cancel_request where job_id in (select job_id from stopped)
),
child as (
    delete from engine.child where job_id in (select job_id from stopped) returning *
),
told as (
    insert into engine.child_end (parent_id, position, n, job_id, ended_at, outcome, category, error, output)
    select c.parent_id, c.position, c.n, c.job_id, engine.now(), 'cancelled', null, null, null::jsonb from child c join stopped k on k.job_id = c.job_id
),
followed as (
    insert into engine.aftermath (job_id, ended_at)
    select k.job_id, engine.now() from stopped k where exists (select from engine.step s where s.job_id = k.job_id)
    on conflict do nothing
),
going as materialized (
    select d.lane_id, d.attempt, d.job_id,
        -- One that kept its slot needs no other; of a key that is held it goes before those that wait.
        case when k.holds and k.paused then engine.head_of_line(d.job_id) else nextval('engine.position') end as position,
        case when not k.holds or k.paused then k.limit_key end as limit_key
    from (select * from due order by run_at, job_id) d
    left join lateral (
        select j.limit_key, l.cap = 0 as paused, exists (select from engine.slot s where s.job_id = d.job_id) as holds
        from engine.job j
        cross join lateral engine.limit_of_key(j.limit_key) l
        where j.id = d.job_id and j.limit_key is not null and d.keyed is distinct from false
        offset 0
    ) k on true
    where d.job_id not in (select job_id from stopped)
),
moved as (
    insert into engine.ready (lane_id, attempt, position, job_id)
    select lane_id, attempt, position, job_id from going where limit_key is null
    on conflict do nothing
    returning 1
),
queued as (
    insert into engine.waiting (position, job_id, lane_id, attempt, limit_key)
    select position, job_id, lane_id, attempt, limit_key from going where limit_key is not null
    on conflict do nothing
    returning 1
),
slotless as materialized (
    select job_id from stopped where keyed is distinct from false
    union all
    select job_id from going where limit_key is not null and position = engine.head_of_line(job_id)
),
given_back as materialized (
    select engine.give_back(array(select job_id from slotless)) where exists (select from slotless)
),
woken as (
    select engine.wake() from (select 1 from moved union all select 1 from queued limit 1) any_moved
)
select (select count(*) from due) as moved, (select max(run_at) from due) as last_run_at,
    (select count(*) from woken) + (select count(*) from given_back) as woken
