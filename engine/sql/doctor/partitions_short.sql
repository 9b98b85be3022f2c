-- Ledgers whose partitions end less than 10 million ids ahead: the keeper, which makes them, does not run or fails.
-- Reads the catalogue. Caller: store/doctor.rs
with ledger as (
    select p.oid, p.relname,
        coalesce(max((regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''(\d+)''\)'))[1]::bigint), 0) as bound
    from pg_class p
    left join pg_inherits i on i.inhparent = p.oid
    left join pg_class c on c.oid = i.inhrelid
    where p.oid in ('engine.job'::regclass, 'engine.attempt'::regclass)
    group by p.oid, p.relname
)
select null::bigint as job_id,
    format('the partitions of engine.%s end at id %s, less than 10 million above the last id %s; workers make them: is one running?',
           relname, bound, (select last_value from engine.position)) as detail
from ledger
where bound < (select last_value from engine.position) + 10000000
order by relname
limit 100
