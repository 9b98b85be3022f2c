-- Retention counts what lives in a partition only where it may be dropped: since 0210 it did so for every closed partition, and
-- each count reads every place of a job whole, once a minute. One in which jobs have ended for longer than any is kept is swept
-- row by row, one partition with something to forget at a time.
-- Locks: none that lasts. At run time as 0210.

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
    old boolean;
    swept boolean := false;
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
        if recent then
            -- One in which jobs end for longer than any is kept is not expected to be dropped soon.
            execute format('select (select created_at from engine.job_%s order by id limit 1) < $1', bound)
                into old using least(engine.kept_since('completed'), engine.kept_since('cancelled'), engine.kept_since('dead'));
            if old and not swept then
                swept := engine.forget_ended_in(format('attempt_%s', bound), 10000) > 0;
            end if;
            continue;
        end if;
        -- What lives is moved with all locked, so it has to be little. Where it is not, what has ended goes row by row. Counted only
        -- now: each place is read whole for it.
        select count(*) into living
        from (select from engine.place p where p.job_id >= low and p.job_id < bound limit 100001) p;
        if living > 100000 then
            perform engine.forget_ended_in(format('attempt_%s', bound), 10000);
        elsif engine.retire_partition(bound, true) >= 0 then
            return bound;
        end if;
    end loop;
    return null;
end
$$;
