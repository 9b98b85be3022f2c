-- Whether occurrence $2 of schedule $1 has been dealt with.
-- Caller: store/occurrence.rs
select exists (select from engine.occurrence where schedule = $1 and occurrence = $2) as known
