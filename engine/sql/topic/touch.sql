-- Meet those who emit event $1 of key $2. A statement of its own, so that the next one sees what they committed. It
-- changes the row and does not only lock it, so that an emitter whose snapshot is older is refused instead of not seeing us.
-- Locks: the row of the topic. Caller: store/event.rs
insert into engine.topic (name, key, touched_at) values ($1, $2, engine.now())
on conflict (name, key) do update set touched_at = excluded.touched_at
