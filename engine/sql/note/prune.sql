-- Forget what jobs said that are gone with their partition: jobs below the first partition that are not among the few that were kept;
-- and notices that nobody took for a week. At most $1 rows of each table.
-- Locks: rows nobody writes any more. Index: the primary keys. Caller: store/note.rs
with first as materialized (
    select min((regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''?(\d+)'))[1]::bigint) as id
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'engine.job'::regclass
),
gone_progress as (
    delete from engine.progress where ctid = any (array(
        select p.ctid from engine.progress p
        where p.job_id < (select id from first) and not exists (select from engine.job_kept k where k.id = p.job_id)
        order by p.job_id
        limit $1))
    returning 1
),
gone_lines as (
    delete from engine.log_line where ctid = any (array(
        select l.ctid from engine.log_line l
        where l.job_id < (select id from first) and not exists (select from engine.job_kept k where k.id = l.job_id)
        order by l.job_id
        limit $1))
    returning 1
),
gone_notices as (
    delete from engine.notice where id = any (array(
        select n.id from engine.notice n where n.at < (select engine.now()) - interval '7 days' order by n.id limit $1))
    returning 1
)
select (select count(*) from gone_progress) + (select count(*) from gone_lines) + (select count(*) from gone_notices) as gone
