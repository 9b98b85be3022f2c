-- How many jobs stand elsewhere than in ready.
-- Caller: metrics.rs
select
    (select count(*) from engine.scheduled) as scheduled,
    (select count(*) from engine.claim) as claims,
    (select count(*) from engine.dead_letter_queue where not resolved) as dead
