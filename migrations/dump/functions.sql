-- Functions, with their bodies as written, and what is said about them.
-- Caller: dump.rs
select concat_ws(e'\n',
    format('create %s %s(%s)', case p.prokind when 'p' then 'procedure' else 'function' end,
        p.pronamespace::regnamespace || '.' || quote_ident(p.proname), pg_get_function_arguments(p.oid))
        || coalesce(' returns ' || pg_get_function_result(p.oid), ''),
    concat_ws(' ', 'language ' || l.lanname,
        case p.provolatile when 'i' then 'immutable' when 's' then 'stable' end,
        case when p.proisstrict then 'strict' end,
        case p.proparallel when 's' then 'parallel safe' when 'r' then 'parallel restricted' end,
        case when p.prosecdef then 'security definer' end),
    (select string_agg('set ' || regexp_replace(s, '=', ' = '), e'\n' order by s collate "C") from unnest(p.proconfig) s),
    'as ' || q.mark || p.prosrc || q.mark || ';',
    'comment on function ' || p.oid::regprocedure || ' is ' || quote_literal(obj_description(p.oid, 'pg_proc')) || ';') as statement
from pg_proc p
join pg_language l on l.oid = p.prolang
cross join lateral (select case when position('$$' in p.prosrc) > 0 then '$function$' else '$$' end as mark) q
where p.pronamespace in (to_regnamespace('engine'), to_regnamespace('raw_ops'))
order by p.pronamespace::regnamespace::text, p.proname, pg_get_function_identity_arguments(p.oid) collate "C"
