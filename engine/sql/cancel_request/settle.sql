-- Deal with up to $1 requests to cancel that stand beside a job which does not run.
-- Locks: the places of those jobs. Caller: store/cancel_request.rs
select engine.settle_cancels($1)
