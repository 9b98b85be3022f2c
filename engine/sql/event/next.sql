-- The first event $1 of key $2 after event $3, and whether it is later than $4.
-- Index: event_pkey. Caller: store/event.rs
select e.id, e.payload::text as payload, e.trace_parent, coalesce($4::timestamptz <= engine.now(), false) as late
from (select 1) one
left join lateral (
    select id, payload, trace_parent from engine.event where name = $1 and key = $2 and id > $3 order by id limit 1
) e on true
