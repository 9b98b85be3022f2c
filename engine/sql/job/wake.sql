-- Wake sleeping workers.
-- Caller: store/copy.rs
select count(*) as woken from (select engine.wake()) w
