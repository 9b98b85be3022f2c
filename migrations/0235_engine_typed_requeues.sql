-- Of a letter that stays engine.requeue_letters tells all that engine.requeue_letter does, so that programs know both by one set of
-- errors: the detail of a refusal, which names the job in the way, and the constraint that forbids.
-- Locks: none that lasts. Programs from before read the columns that they know.

drop function engine.requeue_letters(uuid[], text, jsonb[]);

create function engine.requeue_letters(letters uuid[], asked_by text, new_args jsonb[] default null)
returns table (letter uuid, job_id bigint, code text, why text, detail text, violated text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    given record;
begin
    -- Each is a subtransaction, and of more than this every snapshot of the server would have to look them up.
    if cardinality(letters) > 50 then
        raise exception '% dead letters in one transaction: 50 are the most', cardinality(letters) using errcode = '22023';
    end if;
    if new_args is not null and cardinality(new_args) <> cardinality(letters) then
        raise exception '% letters and arguments for %', cardinality(letters), cardinality(new_args) using errcode = '22023';
    end if;
    for given in
        select u.id, u.args from unnest(letters, new_args) u (id, args) order by u.id
    loop
        letter := given.id;
        job_id := null;
        code := null;
        why := null;
        detail := null;
        violated := null;
        begin
            job_id := engine.requeue_letter(given.id, asked_by, given.args);
        exception
            -- What is wrong with one letter keeps no other back; what is wrong with the database ends all.
            when others then
                if left(sqlstate, 2) not in ('RW', '22', '23', '44', '54') then
                    raise;
                end if;
                get stacked diagnostics code = returned_sqlstate, why = message_text, detail = pg_exception_detail,
                    violated = constraint_name;
        end;
        return next;
    end loop;
end
$$;
comment on function engine.requeue_letters(uuid[], text, jsonb[]) is
    'Runs the jobs of up to 50 dead letters again, as engine.requeue_letter does each; of one that stays it says why.';
