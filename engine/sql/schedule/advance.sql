-- Note how far schedule $1 has been dealt with: to $2; and the occurrence $3 that waits, if one does.
-- Caller: store/schedule.rs
update engine.schedule set done_to = $2, buffered = $3 where name = $1
