-- Depth and oldest age of each queue.
-- Caller: metrics.rs
select l.queue, coalesce(sum(r.depth), 0)::bigint as depth,
    coalesce(max(extract(epoch from engine.now() - j.created_at)), 0)::float8 as oldest_seconds
from engine.lane l
left join lateral (
    select count(*) as depth, min(job_id) as oldest from engine.ready where lane_id = l.id
) r on true
left join engine.job j on j.id = r.oldest
group by l.queue
order by l.queue
