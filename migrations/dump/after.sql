-- What follows a table or a view: its indexes, its triggers and what is said about it.
-- Caller: dump.rs
select name, statement
from (
    select x.indrelid::regclass::text as name, 1 as rank, i.relname::text as place, pg_get_indexdef(x.indexrelid, 0, true) || ';' as statement, false as words
    from pg_index x
    join pg_class i on i.oid = x.indexrelid
    join pg_class c on c.oid = x.indrelid
    where not i.relispartition and not c.relispartition
      and not exists (select from pg_constraint k where k.conindid = x.indexrelid and k.contype in ('p', 'u', 'x'))
      and c.relnamespace in (to_regnamespace('engine'), to_regnamespace('raw_ops'))
    union all
    select t.tgrelid::regclass::text, 2, t.tgname::text, pg_get_triggerdef(t.oid, true) || ';', false
    from pg_trigger t
    join pg_class c on c.oid = t.tgrelid
    where not t.tgisinternal and t.tgparentid = 0 and c.relnamespace in (to_regnamespace('engine'), to_regnamespace('raw_ops'))
    union all
    select c.oid::regclass::text, 3, lpad(d.objsubid::text, 6),
        case when d.objsubid = 0
            then format('comment on %s %s is %L;', case c.relkind when 'v' then 'view' when 'm' then 'materialized view' else 'table' end,
                c.oid::regclass, d.description)
            else format('comment on column %s.%I is %L;', c.oid::regclass, a.attname, d.description)
        end, true
    from pg_description d
    join pg_class c on c.oid = d.objoid and d.classoid = 'pg_class'::regclass
    left join pg_attribute a on a.attrelid = c.oid and a.attnum = d.objsubid and d.objsubid > 0
    where c.relkind in ('r', 'p', 'v', 'm') and c.relnamespace in (to_regnamespace('engine'), to_regnamespace('raw_ops'))
) found
order by name, rank, place collate "C"
