-- Give back up to $1 slots that jobs kept for a retry or a wait, of keys that keep no order any more. Returns how many.
-- Locks: rows of scheduled and parked, skip locked; what engine.give_back locks. Reads slot; scheduled and parked by key.
-- Caller: store/waiting.rs
select engine.give_back_kept($1)
