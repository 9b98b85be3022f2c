-- Workflow $1 waits for event $2 of key $3 after event $4.
-- Locks: its row, under the lock of the topic. Caller: store/event.rs
insert into engine.event_wait (job_id, name, key, after, since) values ($1, $2, $3, $4, engine.now())
on conflict (job_id) do update set name = excluded.name, key = excluded.key, after = excluded.after
