-- Of the lanes of queues $1, kinds $2 and priorities $3 the queue of one that does not exist, where $4 lanes or more do.
-- Caller: api/lanes.rs
select u.queue from unnest($1::text[], $2::text[], $3::smallint[]) u (queue, kind, priority)
where not exists (select from engine.lane l where l.queue = u.queue and l.kind = u.kind and l.priority = u.priority)
    and (select count(*) from engine.lane) >= $4
limit 1
