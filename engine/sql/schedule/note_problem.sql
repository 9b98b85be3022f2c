-- Note why schedule $1 cannot fire, $2, or that it can again.
-- Caller: store/schedule.rs
update engine.schedule set problem = $2 where name = $1 and problem is distinct from $2
