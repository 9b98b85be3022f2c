-- Say that what the alert of key $1 told of is over, with title $2 and message $3. Null when there is nothing to be over.
-- Caller: functions/ops_alerter.rs
select raw_ops.clear_alert($1, $2, $3)
