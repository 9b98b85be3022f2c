-- Make schedules known: $1 names, $2 the program's line and zone of each. A new one counts from now; so does one whose
-- line the program changed, unless an operator's line and zone stand in front of it.
-- Locks: those rows, in name order. Caller: store/schedule.rs
insert into engine.schedule as s (name, line)
select u.name, u.line from unnest($1::text[], $2::text[]) u (name, line)
order by u.name
on conflict (name) do update
set line = excluded.line,
    done_to = case when s.cron is null or s.zone is null then greatest(s.done_to, engine.now()) else s.done_to end
where s.line is distinct from excluded.line
