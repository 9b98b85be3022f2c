-- The newest workflows: in state $1, of kind $2 where given; at most $3. With a state, among the newest 10,000.
-- Caller: store/workflow.rs
with newest as materialized (
    select s.job_id from engine.step s
    join engine.job j on j.id = s.job_id
    join engine.lane l on l.id = j.lane_id
    where s.position = 1 and ($2::text is null or l.kind = $2)
    order by s.job_id desc
    limit case when $1::text is null then $3 else 10000 end
)
select w.job_id, w.queue, w.kind, w.state, w.attempt, w.created_at, w.wakes_at, w.finished_at, w.category, w.error, w.steps,
    w.last_act, w.last_name, w.waits_for, w.event, w.event_key, w.children_open, w.children_ended, w.compensations, w.undone, w.restarted_from
from newest n
cross join lateral (select * from engine.workflow_state where job_id = n.job_id offset 0) w
where $1 is null or w.state = $1
order by w.job_id desc
limit $3
