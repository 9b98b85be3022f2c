-- Take job $1 out of ready or scheduled and end it as cancelled.
-- Returns where it stands: cancelled (by this call), running, an ended state, or null while it moves between places.
-- Locks: its place. Caller: store/cancel_request.rs
with place as (
    delete from engine.ready r using engine.job j
    where j.id = $1 and r.job_id = $1 and ((r.lane_id = j.lane_id and r.position = $1) or r.position <> r.job_id)
    returning r.attempt
),
later as (
    delete from engine.scheduled where job_id = $1 returning attempt
),
ended as (
    insert into engine.attempt (job_id, attempt, started_at, finished_at, outcome, error)
    select $1, p.attempt, engine.now(), engine.now(), 'cancelled', $2
    from (select attempt from place union all select attempt from later) p
    on conflict do nothing
    returning 1
),
freed as (
    delete from engine.unique_key where job_id = $1 and exists (select from ended)
),
answered as (
    delete from engine.cancel_request where job_id = $1 and exists (select from ended)
)
select case
    when exists (select from ended) then 'cancelled'
    when exists (
        select from engine.claim c, unnest(c.ids, c.attempts) u (job_id, attempt)
        where c.ids @> array[$1] and u.job_id = $1
          and not exists (select from engine.attempt a where a.job_id = u.job_id and a.attempt = u.attempt)) then 'running'
    else (
        select 'already ' || a.outcome from engine.attempt a
        where a.job_id = $1 and a.outcome in ('completed', 'cancelled', 'dead')
        limit 1)
end as standing
