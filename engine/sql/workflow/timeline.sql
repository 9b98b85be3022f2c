-- What workflow $1 did, in order: each act, its children and what undoes it.
-- Caller: store/workflow.rs
select s.position, s.kind, s.name, s.attempt, s.begun_at,
    coalesce(s.ended_at, case when s.kind = 'sleep' and s.until <= (select engine.now()) then s.until end) as ended_at,
    s.until, s.key, s.event_id, s.result,
    (select count(*)::integer from engine.child c where c.parent_id = $1 and c.position = s.position) as children_open,
    (select count(*)::integer from engine.child_end e where e.parent_id = $1 and e.position = s.position) as children_ended,
    u.kind as undone_by_kind, u.undone_at
from engine.step s
left join lateral (
    select c.kind, c.undone_at from engine.compensation c
    where c.job_id = $1 and c.position = s.position
    order by c.n
    limit 1
) u on true
where s.job_id = $1
order by s.position
