-- Wait until the synchronous standby has all that was committed so far.
-- Caller: store/standby.rs
select from engine.await_standby()
