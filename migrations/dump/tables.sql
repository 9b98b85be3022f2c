-- Tables: what stands before and after the list of their columns. Numbered partitions, which are made as jobs come, are
-- left out; a default partition has no list of its own.
-- Caller: dump.rs
select c.oid::regclass::text as name,
    case when c.relispartition
        then format('create table %s partition of %s %s', c.oid::regclass, i.inhparent::regclass, pg_get_expr(c.relpartbound, c.oid))
        else format('create %stable %s', case c.relpersistence when 'u' then 'unlogged ' else '' end, c.oid::regclass)
    end as head,
    concat_ws(' ',
        case when c.relkind = 'p' then 'partition by ' || pg_get_partkeydef(c.oid) end,
        'with (' || (select string_agg(replace(o, '=', ' = '), ', ' order by o collate "C") from unnest(c.reloptions) o) || ')') as tail
from pg_class c
left join pg_inherits i on i.inhrelid = c.oid
where c.relkind in ('r', 'p') and c.relnamespace in (to_regnamespace('engine'), to_regnamespace('raw_ops'))
  and (not c.relispartition or pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT')
order by c.relnamespace::regnamespace::text, c.relname
