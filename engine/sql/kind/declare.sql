-- What a program says of its kinds: a job of kind $1[n] goes to queue $2[n] with priority $3[n] unless its producer says otherwise.
-- Locks: new rows, and those of kinds of which something else was said before, in the order of their names. Caller: store/kind.rs
insert into engine.kind as k (name, queue, priority)
select u.name, u.queue, u.priority
from unnest($1::text[], $2::text[], $3::smallint[]) u (name, queue, priority)
where not exists (select from engine.kind b where b.name = u.name and b.queue = u.queue and b.priority = u.priority)
order by u.name
on conflict (name) do update set queue = excluded.queue, priority = excluded.priority, declared_at = engine.now()
