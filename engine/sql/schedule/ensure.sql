-- Make schedule $1 known, with the program's line $2, when no scheduler has done so.
-- Caller: store/schedule.rs
insert into engine.schedule (name, line) values ($1, $2) on conflict do nothing
