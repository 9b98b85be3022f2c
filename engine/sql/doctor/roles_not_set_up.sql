-- Group roles that the server does not have, or that were granted nothing in this database.
-- Caller: store/doctor.rs
select null::bigint as job_id,
    case when r.oid is null
        then format('role %s does not exist: run `rawops migrate --roles` as a superuser or with CREATEROLE, then `rawops migrate`', w.name)
        else format('role %s may not use schema engine: run `rawops migrate` as the user who migrated this database', w.name)
    end as detail
from unnest(array[
    'rawops_owner', 'rawops_migrator', 'rawops_runtime', 'rawops_ingest', 'rawops_operator', 'rawops_reader'
]) with ordinality w (name, n)
left join pg_roles r on r.rolname = w.name
-- The owner, and who acts as it, are granted nothing where another user owns the schema.
where r.oid is null
   or (not has_schema_privilege(r.oid, 'engine', 'usage') and w.name not in ('rawops_owner', 'rawops_migrator'))
order by w.n
