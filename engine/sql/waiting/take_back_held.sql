-- Have up to $1 jobs wait again that were let in and have not begun, where their limit key is held. Returns how many.
-- Locks: one advisory lock, tried; rows of ready, skip locked; their slots. Index: slot_pkey, or none where keys are held that begin alike; ready_returned.
-- Caller: store/waiting.rs
select engine.take_back_held($1)
