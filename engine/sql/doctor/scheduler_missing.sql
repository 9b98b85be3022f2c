-- There are schedules and nobody leads them: their duty's lease ran out half a minute ago.
-- Caller: store/doctor.rs
select null::bigint as job_id,
    format('no scheduler has led since %s: nothing recurs; start `rawops scheduler`', to_char(max(l.until) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"')) as detail
from engine.leader l
where l.duty = 'scheduler' and exists (select from engine.schedule)
having max(l.until) < (select engine.now()) - interval '30 seconds'
