-- Who may do what, besides owners: what several roles may do to an object is one line. What everybody may by default is shown too.
-- Caller: dump.rs
with granted as (
    select 1 as rank, 'schema ' || n.oid::regnamespace as object, null::text as part, x.grantee, x.privilege_type
    from pg_namespace n cross join lateral aclexplode(n.nspacl) x
    where n.nspname in ('engine', 'raw_ops') and x.grantee <> n.nspowner
    union all
    select 2, case c.relkind when 'S' then 'sequence ' else '' end || c.oid::regclass, null, x.grantee, x.privilege_type
    from pg_class c cross join lateral aclexplode(c.relacl) x
    where c.relnamespace in (to_regnamespace('engine'), to_regnamespace('raw_ops')) and x.grantee <> c.relowner
    union all
    select 2, c.oid::regclass::text, quote_ident(a.attname), x.grantee, x.privilege_type
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid
    cross join lateral aclexplode(a.attacl) x
    where c.relnamespace in (to_regnamespace('engine'), to_regnamespace('raw_ops')) and x.grantee <> c.relowner
    union all
    select 3, 'function ' || p.oid::regprocedure, null, x.grantee, x.privilege_type
    from pg_proc p cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
    where p.pronamespace in (to_regnamespace('engine'), to_regnamespace('raw_ops')) and x.grantee <> p.proowner
)
select format('grant %s on %s to %s;', privileges, object, string_agg(grantee, ', ' order by grantee collate "C")) as statement
from (
    select rank, object, case grantee when 0 then 'public' else grantee::regrole::text end as grantee,
        string_agg(lower(privilege_type) || coalesce(' (' || part || ')', ''), ', '
            order by array_position(array['USAGE', 'CREATE', 'SELECT', 'INSERT', 'UPDATE', 'DELETE'], privilege_type), part collate "C") as privileges
    from granted
    group by rank, object, granted.grantee
) stated
group by rank, object, privileges
order by rank, object collate "C", privileges collate "C"
