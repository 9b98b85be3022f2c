-- The lanes that may give the probe of each of systems $1: of kinds $2 and queues $3, and not paused; the most urgent first.
-- Caller: store/breaker.rs
select k.system, l.id as lane_id
from engine.lane l
join engine.breaker_kind k on k.kind = l.kind
where k.system = any ($1) and l.kind = any ($2) and l.queue = any ($3) and not l.paused
  and not exists (select from engine.paused p where p.name = case p.scope when 'queue' then l.queue when 'kind' then l.kind end)
order by k.system, l.priority, l.id
