-- What people and `rawops doctor` read. Views only; locks nothing.

-- A job's state is where it stands. `missing` is a fault: it stands nowhere and has not ended.
create view engine.job_state as
select
    j.id, l.queue, l.kind, l.priority, j.created_at, j.args, j.unique_key, j.limit_key, j.parent_id, j.requeued_from,
    coalesce(r.attempt, s.attempt, c.attempt, a.attempt) as attempt,
    s.run_at, c.worker_id, c.claimed_at, a.finished_at, a.category, a.error, a.output,
    case
        when r.attempt is not null then 'ready'
        when s.attempt is not null then 'scheduled'
        when c.attempt is not null then 'running'
        when a.outcome in ('completed', 'cancelled', 'dead') then a.outcome
        else 'missing'
    end as state
from engine.job j
join engine.lane l on l.id = j.lane_id
left join lateral (
    select attempt from engine.ready where lane_id = j.lane_id and position = j.id
    union all
    select attempt from engine.ready where job_id = j.id and position <> job_id
    limit 1
) r on true
left join engine.scheduled s on s.job_id = j.id
left join lateral (
    select u.attempt, k.worker_id, k.claimed_at
    from engine.claim k, unnest(k.ids, k.attempts) u (id, attempt)
    where k.ids @> array[j.id] and u.id = j.id
      and not exists (select from engine.attempt d where d.job_id = u.id and d.attempt = u.attempt)
    limit 1
) c on true
left join lateral (
    select * from engine.attempt where job_id = j.id order by attempt desc limit 1
) a on true;
comment on view engine.job_state is 'Where each job stands. Ask by id, or with a limit: it looks into every place for each job.';
