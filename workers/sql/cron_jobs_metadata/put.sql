-- Write schedules down: $1 names, $2 descriptions, $3 lines. A new one counts from now; a known one keeps its date.
-- Returns since when each counts.
-- Locks: those rows, in name order. Caller: scheduler.rs
with given as (
    select u.name, u.description, u.line from unnest($1::text[], $2::text[], $3::text[]) u (name, description, line)
),
put as (
    insert into raw_ops.cron_jobs_metadata as m (jobname, description, schedule, created_at)
    select name, description, line, engine.now() from given order by name
    on conflict (jobname) do update set description = excluded.description, schedule = excluded.schedule
    returning m.jobname, m.created_at
)
select jobname, coalesce(created_at, 'epoch') as since from put
