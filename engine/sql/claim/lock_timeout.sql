-- A rescue waits this long for a lock that a dead worker's session may still hold, then goes on with the next job.
-- Caller: store/claim/rescue.rs
set local lock_timeout = '200ms'
