-- Move one due job into ready, or into waiting where it has a limit key and no slot of it.
-- Locks: its row. Caller: store/scheduled.rs
with due as (
    delete from engine.scheduled where run_at = $1 and job_id = $2
    returning job_id, lane_id, attempt
),
going as materialized (
    select d.lane_id, d.attempt, nextval('engine.position') as position, d.job_id,
        case when j.limit_key is not null and not exists (select from engine.slot s where s.job_id = d.job_id) then j.limit_key end as limit_key
    from due d
    left join lateral (select limit_key from engine.job where id = d.job_id offset 0) j on true
),
queued as (
    insert into engine.waiting (position, job_id, lane_id, attempt, limit_key)
    select position, job_id, lane_id, attempt, limit_key from going where limit_key is not null
    on conflict do nothing
    returning 1
),
moved as (
    insert into engine.ready (lane_id, attempt, position, job_id)
    select lane_id, attempt, position, job_id from going where limit_key is null
    on conflict do nothing
    returning 1
)
select (select count(*) from queued) + (select count(*) from moved) as moved
