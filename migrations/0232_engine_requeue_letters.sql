-- Many dead letters are run again in one transaction: one each cost an operator with thousands of them minutes.
-- Locks: none that lasts. At run time: the letters, in the order of their ids; what engine.enqueue locks.

create function engine.requeue_letters(letters uuid[], asked_by text, new_args jsonb[] default null)
returns table (letter uuid, job_id bigint, code text, why text)
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
        begin
            job_id := engine.requeue_letter(given.id, asked_by, given.args);
            code := null;
            why := null;
        exception
            -- What is wrong with one letter keeps no other back; what is wrong with the database ends all.
            when others then
                if left(sqlstate, 2) not in ('RW', '22', '23', '44', '54') then
                    raise;
                end if;
                job_id := null;
                code := sqlstate;
                why := sqlerrm;
        end;
        return next;
    end loop;
end
$$;
comment on function engine.requeue_letters(uuid[], text, jsonb[]) is
    'Runs the jobs of up to 50 dead letters again, as engine.requeue_letter does each; of one that stays it says why.';
