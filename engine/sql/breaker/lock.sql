-- Lock the breakers of systems $1 that nobody else has locked, for judge.sql. A statement of its own, so that the next ones see
-- what was written before. Returns which.
-- Locks: the breakers, skip locked. Caller: store/breaker.rs
select system from engine.breaker where system = any ($1) order by system for update skip locked
