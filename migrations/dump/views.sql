-- Views: what they select in this server's words, and their kind.
-- Caller: dump.rs
select c.oid::regclass::text as name, pg_get_viewdef(c.oid) as selected,
    format('create %sview %s as%s%s', case c.relkind when 'm' then 'materialized ' else '' end, c.oid::regclass, e'\n',
        pg_get_viewdef(c.oid, true)) as statement
from pg_class c
where c.relkind in ('v', 'm') and c.relnamespace in (to_regnamespace('engine'), to_regnamespace('raw_ops'))
order by c.relnamespace::regnamespace::text, c.relname
