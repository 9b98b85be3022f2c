-- Schemas, extensions, enums, domains and sequences that are no column's: whole statements, in order.
-- Caller: dump.rs
select statement
from (
    select 1 as rank, n.nspname::text as name, format('create schema %I;', n.nspname)
        || coalesce(format(e'\ncomment on schema %I is ', n.nspname) || quote_literal(obj_description(n.oid, 'pg_namespace')) || ';', '') as statement
    from pg_namespace n where n.nspname in ('engine', 'raw_ops')
    union all
    select 2, e.extname::text, format('create extension %I;', e.extname)
    from pg_extension e where e.extname <> 'plpgsql'
    union all
    select 3, t.oid::regtype::text, format('create type %s as enum (%s);', t.oid::regtype,
        (select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid))
    from pg_type t
    where t.typtype = 'e' and t.typnamespace in (to_regnamespace('engine'), to_regnamespace('raw_ops'))
    union all
    select 4, t.oid::regtype::text, concat_ws(' ', 'create domain', t.oid::regtype, 'as', format_type(t.typbasetype, t.typtypmod),
        case when t.typnotnull then 'not null' end, 'default ' || t.typdefault,
        (select string_agg(format('constraint %I %s', c.conname, pg_get_constraintdef(c.oid, true)), ' ' order by c.conname)
         from pg_constraint c where c.contypid = t.oid and c.contype = 'c')) || ';'
    from pg_type t
    where t.typtype = 'd' and t.typnamespace in (to_regnamespace('engine'), to_regnamespace('raw_ops'))
    union all
    select 5, c.oid::regclass::text, format('create sequence %s as %s start %s increment %s cache %s;',
        c.oid::regclass, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqcache)
    from pg_class c
    join pg_sequence s on s.seqrelid = c.oid
    where c.relnamespace in (to_regnamespace('engine'), to_regnamespace('raw_ops'))
      and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i'))
) found
order by rank, name collate "C"
