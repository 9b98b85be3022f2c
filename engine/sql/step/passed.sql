-- Whether it is later than $1.
-- Caller: store/step.rs
select engine.now() >= $1 as passed
