-- Ids above the last bound that went to a default partition: no partition can be made there while they stand.
-- Reads the catalogue and the default partitions from the bound on. Caller: store/doctor.rs
with bound as materialized (
    select i.inhparent,
        coalesce(max((regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''(\d+)''\)'))[1]::bigint), 0) as last
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
    where i.inhparent in ('engine.job'::regclass, 'engine.attempt'::regclass)
    group by i.inhparent
),
beyond as materialized (
    select id as job_id, 'job_kept' as name from engine.job_kept
    where id >= (select last from bound where inhparent = 'engine.job'::regclass)
    union
    select job_id, 'attempt_kept' from engine.attempt_kept
    where job_id >= (select last from bound where inhparent = 'engine.attempt'::regclass)
)
select job_id, format('stands in engine.%s above every partition, and keeps the next one from being made', name) as detail
from beyond
order by job_id, name
limit 100
