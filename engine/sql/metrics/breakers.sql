-- The state of each breaker, and for how long it has been so.
-- Caller: metrics.rs
select system, state, held, seconds from engine.breaker_figures order by system
