-- Write the policy of category $1: attempts $2, delays $3, alert $4, escalate $5.
-- Locks: its row. Caller: store/retry_policy.rs
insert into engine.retry_config as c (error_category, max_attempts, backoff_seconds, alert_on_attempt, escalate_on_attempt)
values ($1, $2, $3, $4, $5)
on conflict (error_category) do update
set max_attempts = excluded.max_attempts, backoff_seconds = excluded.backoff_seconds,
    alert_on_attempt = excluded.alert_on_attempt, escalate_on_attempt = excluded.escalate_on_attempt
