-- Forget up to $1 ends of children, and as many compensations, of workflows that are gone with their partition.
-- Locks: rows nobody writes any more. Index: the primary keys. Caller: store/child.rs
with first as materialized (
    select min((regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''?(\d+)'))[1]::bigint) as id
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'engine.job'::regclass
),
gone_ends as (
    delete from engine.child_end where ctid = any (array(
        select e.ctid from engine.child_end e
        where e.parent_id < (select id from first) and not exists (select from engine.job_kept k where k.id = e.parent_id)
        order by e.parent_id
        limit $1))
    returning 1
),
gone_compensations as (
    delete from engine.compensation where ctid = any (array(
        select c.ctid from engine.compensation c
        where c.job_id < (select id from first) and not exists (select from engine.job_kept k where k.id = c.job_id)
        order by c.job_id
        limit $1))
    returning 1
)
select (select count(*) from gone_ends) + (select count(*) from gone_compensations) as gone
