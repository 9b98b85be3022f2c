-- Job $1: where it stands, and what is needed to say why.
-- Caller: store/why.rs
select s.id, s.queue, s.kind, s.priority, s.state, s.limit_key, s.run_at, s.worker_id, w.name as worker_name, s.claimed_at,
    s.finished_at, s.category, s.error, j.lane_id, r.position, coalesce(d.alone, false) as alone,
    p.waits_for, p.parked_at, e.name as event, e.key as event_key,
    c.requested_by as cancel_by, c.requested_at as cancel_at, engine.now() as at
from engine.job_state s
join engine.job j on j.id = s.id
left join engine.worker w on w.id = s.worker_id
left join engine.scheduled d on d.job_id = s.id
left join engine.parked p on p.job_id = s.id
left join engine.event_wait e on e.job_id = s.id
left join engine.cancel_request c on c.job_id = s.id
left join lateral (
    select position from engine.ready where lane_id = j.lane_id and position = s.id
    union all
    select position from engine.ready where job_id = s.id and position <> job_id
    limit 1
) r on true
where s.id = $1
