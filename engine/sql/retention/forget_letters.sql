-- Forget up to $1 dead letters that are past their time.
-- Caller: store/retention.rs
select engine.forget_letters($1)
