-- Let queue $1 hold $2 ready jobs at most; null: as many as come.
-- Locks: its row. Caller: store/queue.rs
insert into engine.queue (name, depth_limit) values (engine.checked_name('queue', $1), $2)
on conflict (name) do update set depth_limit = excluded.depth_limit
