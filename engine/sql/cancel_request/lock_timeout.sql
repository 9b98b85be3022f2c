-- Wait no longer than this for a place that somebody holds in a long transaction.
-- Caller: store/cancel_request.rs
set local lock_timeout = '1s'
