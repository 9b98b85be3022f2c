-- A partition in which more than 100,000 jobs live is left for later. One in which none had ended counted as past its time, so
-- ten million jobs of next year were moved under a lock that let nobody claim.
-- Locks: none.

create or replace function engine.drop_expired_partition() returns bigint
language plpgsql security definer
set jit = off
set search_path = pg_catalog, pg_temp
as $$
declare
    low bigint;
    bound bigint;
    living bigint;
    recent boolean;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('engine.drop_expired_partition', 0)) then
        return null;
    end if;
    for low, bound in
        select (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''?(\d+)'))[1]::bigint,
            (regexp_match(c.relname, '_(\d+)$'))[1]::bigint as ends_at
        from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'engine.job'::regclass and c.relname ~ '^job_\d+$'
          and (regexp_match(c.relname, '_(\d+)$'))[1]::bigint <= (select p.last_value from engine.position p)
        order by 2
    loop
        execute format($q$
            select exists (select from engine.attempt_%1$s a where a.outcome = 'completed' and a.finished_at >= $1)
                or exists (select from engine.attempt_%1$s a where a.outcome = 'cancelled' and a.finished_at >= $2)
            $q$, bound) into recent using engine.kept_since('completed'), engine.kept_since('cancelled');
        continue when recent;
        -- What lives is moved with all locked, so it has to be little.
        select count(*) into living
        from (select from engine.place p where p.job_id >= low and p.job_id < bound limit 100001) p;
        if living <= 100000 and engine.retire_partition(bound, true) >= 0 then
            return bound;
        end if;
    end loop;
    return null;
end
$$;
