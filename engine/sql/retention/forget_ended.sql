-- Forget up to $1 ended jobs that are past their time.
-- Caller: store/retention.rs
select engine.forget_ended($1)
