-- Forget up to $1 steps of jobs that are gone with their partition: jobs below the first partition that are not among
-- the few that were kept.
-- Locks: rows nobody writes any more. Index: step_pkey. Caller: store/step.rs
with first as materialized (
    select min((regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''?(\d+)'))[1]::bigint) as id
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'engine.job'::regclass
)
delete from engine.step where ctid = any (array(
    select s.ctid from engine.step s
    where s.job_id < (select id from first)
      and not exists (select from engine.job_kept k where k.id = s.job_id)
    order by s.job_id
    limit $1))
