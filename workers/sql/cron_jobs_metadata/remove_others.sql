-- Take out the schedules that are not among $1: nobody fires them.
-- Caller: scheduler.rs
delete from raw_ops.cron_jobs_metadata where jobname <> all ($1) returning jobname
