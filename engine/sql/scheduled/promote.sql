-- Move up to $2 due jobs later than $1 into ready. One asked to cancel ends here.
-- Returns how many left `scheduled` and the latest due time among them, the next call's floor.
-- Locks: rows of scheduled, skip locked. Index: scheduled_pkey from the floor. Caller: store/scheduled.rs
with due as (
    delete from engine.scheduled where ctid = any (array(
        select ctid from engine.scheduled
        where run_at > $1 and run_at <= (select engine.now()) and not alone
        order by run_at
        limit $2
        for update skip locked))
    returning run_at, job_id, lane_id, attempt
),
stopped as materialized (
    select d.job_id, d.attempt from due d where d.job_id in (select job_id from engine.cancel_request)
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
moved as (
    insert into engine.ready (lane_id, attempt, position, job_id)
    select lane_id, attempt, nextval('engine.position'), job_id from due
    where job_id not in (select job_id from stopped)
    on conflict do nothing
    returning 1
),
woken as (
    select engine.wake() from (select 1 from moved limit 1) any_moved
)
select (select count(*) from due) as moved, (select max(run_at) from due) as last_run_at, (select count(*) from woken) as woken
