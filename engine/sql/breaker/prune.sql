-- Forget what was counted before the longest window; at most $1 seconds of it. A count of the future is of a clock that was set
-- back.
-- Caller: store/breaker.rs
delete from engine.breaker_count where (system, closings, second) in (
    select system, closings, second from engine.breaker_count
    where second < engine.now() - interval '1 hour' or second > engine.now() + interval '1 minute'
    limit $1 for update skip locked)
