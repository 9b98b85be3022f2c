-- Everything of the schema that search_path names first, as (kind, item, what it is), each written by PostgreSQL itself.
-- Names of that schema print without it, so two schemas that hold the same print the same.

with base_table as (
    select c.oid, c.relname as name
    from pg_class c
    where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
)
select 'table' as kind, name::text as item, 'table' as what from base_table
union all
select case relkind when 'v' then 'view' else 'relation' end, relname, case relkind when 'v' then 'view' else 'no plain view' end
from pg_class
where relnamespace = current_schema()::regnamespace and relkind in ('v', 'm', 'f')
union all
select
    'column', t.name || '.' || a.attname,
    concat_ws(' ',
        format_type(a.atttypid, case when a.atttypid = 'varchar'::regtype then a.atttypmod end),
        case when a.attnotnull then 'not null' end,
        case when a.attidentity <> '' then 'identity' end,
        case when a.attgenerated <> '' then 'generated' end,
        'default ' || pg_get_expr(d.adbin, d.adrelid))
from base_table t
join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
union all
select
    case k.contype when 'p' then 'primary key' else 'foreign key' end,
    t.name || case when k.contype = 'f' then '.' || columns.names else '' end,
    case k.contype
        when 'p' then '(' || columns.names || ')'
        else 'references ' || k.confrelid::regclass || ' (' || targets.names || ')' || case when k.convalidated then '' else ' unproven' end
    end
from base_table t
join pg_constraint k on k.conrelid = t.oid and k.contype in ('p', 'f')
cross join lateral (
    select string_agg(a.attname, ', ' order by u.place) as names
    from unnest(k.conkey) with ordinality u (number, place)
    join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.number
) columns
cross join lateral (
    select string_agg(a.attname, ', ' order by u.place) as names
    from unnest(k.confkey) with ordinality u (number, place)
    join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.number
) targets
union all
select
    'index', t.name || '.' || c.relname,
    concat_ws(' ',
        case when i.indisunique then 'unique' end,
        '(' || (select string_agg(pg_get_indexdef(i.indexrelid, n, true), ', ' order by n) from generate_series(1, i.indnkeyatts) n) || ')',
        'where ' || pg_get_expr(i.indpred, i.indrelid),
        case when not i.indisvalid then 'invalid' end)
from base_table t
join pg_index i on i.indrelid = t.oid and not i.indisprimary
join pg_class c on c.oid = i.indexrelid
union all
select 'enum', t.typname, (select string_agg(e.enumlabel, ', ' order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid)
from pg_type t
where t.typnamespace = current_schema()::regnamespace and t.typtype = 'e'
union all
select distinct 'function', p.proname, 'function'
from pg_proc p
where p.pronamespace = current_schema()::regnamespace and p.prokind = 'f'
union all
select
    'trigger', t.name || '.' || g.tgname,
    concat_ws(' ',
        case when g.tgenabled not in ('O', 'A') then 'disabled' end,
        concat_ws(' or ',
            case when g.tgtype & 4 > 0 then 'insert' end, case when g.tgtype & 8 > 0 then 'delete' end,
            case when g.tgtype & 16 > 0 then 'update' end, case when g.tgtype & 32 > 0 then 'truncate' end),
        'of ' || (select string_agg(a.attname, ', ') from pg_attribute a where a.attrelid = t.oid and a.attnum = any (g.tgattr)),
        'calls', case when p.pronamespace = current_schema()::regnamespace then p.proname::text else p.oid::regproc::text end)
from base_table t
join pg_trigger g on g.tgrelid = t.oid and not g.tgisinternal
join pg_proc p on p.oid = g.tgfoid
