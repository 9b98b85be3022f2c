-- Write schedules down: $1 names, $2 descriptions, $3 lines in force. A known one keeps its date.
-- Locks: those rows, in name order. Caller: scheduler.rs
insert into raw_ops.cron_jobs_metadata as m (jobname, description, schedule, created_at)
select u.name, u.description, u.line, engine.now() from unnest($1::text[], $2::text[], $3::text[]) u (name, description, line)
order by u.name
on conflict (jobname) do update set description = excluded.description, schedule = excluded.schedule
