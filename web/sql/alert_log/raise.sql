-- Raise an alert: $1 severity, $2 title, $3 message, $4 fields, $5 key, $6 what found it.
-- Caller: functions/ops_alerter.rs
select id, outcome from raw_ops.raise_alert($1, $2, $3, $4, key => $5, source_check => $6)
