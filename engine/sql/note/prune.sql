-- Forget what jobs said that are gone with their partition, and notices that nobody took for a week; at most $1 rows of
-- each table.
-- Locks: rows nobody writes any more. Caller: store/note.rs
with gone_progress as (
    delete from engine.progress where job_id = any (array(
        select p.job_id from engine.progress p where not exists (select from engine.job j where j.id = p.job_id) order by p.job_id limit $1))
    returning 1
),
gone_lines as (
    delete from engine.log_line where ctid = any (array(
        select l.ctid from engine.log_line l where not exists (select from engine.job j where j.id = l.job_id) order by l.job_id limit $1))
    returning 1
),
gone_notices as (
    delete from engine.notice where id = any (array(
        select n.id from engine.notice n where n.at < (select engine.now()) - interval '7 days' order by n.id limit $1))
    returning 1
)
select (select count(*) from gone_progress) + (select count(*) from gone_lines) + (select count(*) from gone_notices) as gone
