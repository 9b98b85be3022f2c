-- Wait no longer than this for what somebody holds in a long transaction, such as a unique key: all other schedules wait with it.
-- Caller: store/schedule.rs
set local lock_timeout = '200ms'
