-- The lanes of these queues, kinds and priorities, made where they are missing; and of a queue that has a limit, how many
-- of its jobs are ready and what the limit is.
-- Locks: new lanes only. Caller: store/lane.rs
select engine.lane_of(u.queue, u.kind, u.priority) as id, q.depth_limit,
    case when q.depth_limit is not null then (
        select coalesce(sum(f.ready), 0)::bigint from engine.lane l join engine.lane_figures f on f.lane_id = l.id
        where l.queue = u.queue) end as depth
-- Asked for so that nothing is known of their length, by which a plan would be made anew each time.
from unnest((select $1::text[]), (select $2::text[]), (select $3::smallint[])) with ordinality u (queue, kind, priority, n)
left join engine.queue q on q.name = u.queue
order by u.n
