-- Every queue that has lanes or a setting: how many of its jobs are ready and scheduled, as counted a moment ago, and its limit.
-- Caller: store/queue.rs
select coalesce(n.queue, q.name) as name, coalesce(n.ready, 0) as ready, coalesce(n.scheduled, 0) as scheduled,
    coalesce(n.oldest_ms, 0) as oldest_ms, q.depth_limit
from (
    select l.queue, sum(coalesce(f.ready, 0))::bigint as ready, sum(coalesce(f.scheduled, 0))::bigint as scheduled,
        (1000 * extract(epoch from engine.now() - min(f.oldest_at)))::bigint as oldest_ms
    from engine.lane l left join engine.lane_figures f on f.lane_id = l.id
    group by l.queue
) n
full join engine.queue q on q.name = n.queue
order by 1
