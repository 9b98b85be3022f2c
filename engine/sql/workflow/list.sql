-- The newest workflows: in state $1, of kind $2 where given; at most $3. With a state, among the newest 10,000, and with a kind
-- among the newest 100,000; those that are parked are looked for among themselves.
-- Index: step_pkey, one look a workflow, or parked_pkey. Caller: store/workflow.rs
with recursive known as (
    (select job_id from engine.step order by job_id desc limit 1)
    union all
    select earlier.job_id
    from known k
    cross join lateral (select s.job_id from engine.step s where s.job_id < k.job_id order by s.job_id desc limit 1) earlier
),
newest as materialized (
    select n.job_id
    from (
        select job_id from known where $1 is distinct from 'parked'
        union all
        (select job_id from engine.parked where $1 = 'parked' order by job_id desc)
        limit case when $2::text is null and $1 is not null then 10000 else 100000 end
    ) n
    -- One by one, in this order, and no further than is wanted.
    cross join lateral (
        select 1 from engine.job j join engine.lane l on l.id = j.lane_id
        where j.id = n.job_id and ($2::text is null or l.kind = $2)
        offset 0
    ) is_wanted
    limit case when $1::text is null or $1 = 'parked' then $3 else 10000 end
)
select w.job_id, w.queue, w.kind, w.state, w.attempt, w.created_at, w.wakes_at, w.finished_at, w.category, w.error, w.steps,
    w.last_act, w.last_name, w.waits_for, w.event, w.event_key, w.children_open, w.children_ended, w.compensations, w.undone, w.restarted_from
from newest n
cross join lateral (select * from engine.workflow_state where job_id = n.job_id offset 0) w
where $1 is null or w.state = $1
order by w.job_id desc
limit $3
