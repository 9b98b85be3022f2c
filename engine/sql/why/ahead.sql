-- How many jobs of queue $1 stand in ready before position $4 of lane $2: in lanes of higher priority than $3, and in
-- its own; up to $5 each. Index: ready_pkey. Caller: store/why.rs
select
    (select count(*) from (
        select 1 from engine.lane l
        cross join lateral (select 1 from engine.ready r where r.lane_id = l.id limit $5) r
        where l.queue = $1 and l.priority < $3
        limit $5) x) as of_higher_priority,
    (select count(*) from (select 1 from engine.ready where lane_id = $2 and position < $4 limit $5) x) as in_lane
