-- Say who acts in this transaction, $1, for the history of the policy.
-- Caller: store/retry_policy.rs
select set_config('engine.actor', $1, true) as actor
