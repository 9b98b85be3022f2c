-- Every duty and how it is.
-- Caller: store/duty.rs
select name, period_ms, succeeded_at, failed_at, failures, error, seconds_since_success, overdue
from engine.duty_health
order by name
