-- Try webhooks again that failed for a reason that passes, up to $1 of each inbox. Returns each with its new job.
-- Locks: rows of the inboxes, skip locked. Caller: functions/retry_failed_webhooks.rs
select inbox_id, job_id from raw_ops.retry_failed_webhooks($1)
