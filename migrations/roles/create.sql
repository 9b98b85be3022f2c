-- The group roles that logins are granted; the grants themselves are in grant.sql.
--
--   rawops_owner     owns the schemas and what is in them; functions with their owner's rights act as it
--   rawops_migrator  runs `rawops migrate`
--   rawops_runtime   runs `rawops worker` and `rawops scheduler`
--   rawops_ingest    runs `rawops web`
--   rawops_operator  cancels, requeues and pauses: `rawops jobs`, `rawops dead`
--   rawops_reader    looks, and changes nothing
--
-- Roles belong to the whole server, so another database's migration may make them at the same moment; the first one
-- wins, whoever waited finds them made. A login gets its part by `grant rawops_runtime to worker_1`.

do $$
declare
    wanted text;
begin
    foreach wanted in array array[
        'rawops_owner', 'rawops_migrator', 'rawops_runtime', 'rawops_ingest', 'rawops_operator', 'rawops_reader'
    ] loop
        begin
            if to_regrole(wanted) is null then
                execute format('create role %I nologin', wanted);
            end if;
        exception when duplicate_object or unique_violation then
            null;
        end;
    end loop;
    begin
        if not pg_has_role('rawops_migrator', 'rawops_owner', 'usage') then
            grant rawops_owner to rawops_migrator;
        end if;
        -- Whoever makes the roles without being a superuser needs to act as the owner to hand over what it made.
        if not pg_has_role(current_user, 'rawops_owner', 'usage') then
            execute format('grant rawops_owner to %I', current_user);
        end if;
    -- Of two sessions that grant the same, one meets the other's row: `tuple concurrently updated` is an internal error.
    exception when unique_violation or internal_error then
        null;
    end;
end
$$;
