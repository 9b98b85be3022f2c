-- Wait no longer than this for somebody who emits in a long transaction.
-- Caller: store/event.rs
set local lock_timeout = '1s'
