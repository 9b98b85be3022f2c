-- The lanes of these queues, kinds and priorities, made where they are missing.
-- Locks: new lanes only. Caller: store/lane.rs
select engine.lane_of(u.queue, u.kind, u.priority) as id
from unnest($1::text[], $2::text[], $3::smallint[]) with ordinality u (queue, kind, priority, n)
order by u.n
