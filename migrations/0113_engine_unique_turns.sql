-- Those that may replace the holder of a unique key take turns.
--
-- Why: each of them locks the places of one holder after another, as the key changes hands, so that two of them could wait
-- for each other. Those that only ask for a key lock nothing else and do not take turns.
-- Locks: none; a function is replaced.

-- Gives job `new_id` the key (kind, key), or says which job has it: held_id is then not null and nothing was changed.
--
-- until_started: a holder that runs is no hindrance; it keeps running, and where it fails the newcomer stands for it.
-- replaces: a holder that has not started is cancelled. wait, at_most: a debounce, which does both; run_at is then
-- when the newcomer is due. A holder that has waited for at_most is left to run and a new wait begins.
-- Whoever ends a job locks its place and then its key, so this function never waits for a place with the key in its hands.
-- Locks: the key; the place of the job that is replaced.
create or replace function engine.hold_unique_key(
    kind text, key text, new_id bigint, until_started boolean, replaces boolean, wait interval, at_most interval, period interval,
    out held_id bigint, out run_at timestamptz
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    at timestamptz := engine.now();
    chain timestamptz;
    holder engine.unique_key;
    replaced_id bigint;
    standing text;
begin
    if until_started or replaces then
        perform pg_advisory_xact_lock(hashtextextended('engine.unique_key ' || $1 || ' ' || $2, 0));
    end if;
    for turn in 1..200 loop
        insert into engine.unique_key (kind, key, job_id, since)
        values ($1, $2, $3, case when wait is not null then coalesce(chain, at) end)
        on conflict do nothing;
        exit when found;
        if turn = 200 then
            raise exception 'unique key % of kind % changed hands 200 times: try again', $2, $1 using errcode = '40001';
        end if;
        select * into holder from engine.unique_key u where u.kind = $1 and u.key = $2;
        if not found then
            -- Its holder ended between the two statements: the key is free again.
            chain := null;
            continue;
        end if;
        held_id := holder.job_id;
        if not (until_started or replaces) then
            return;
        end if;

        if wait is not null and holder.since + at_most <= at then
            standing := 'overdue';
        elsif replaces then
            standing := engine.cancel_waiting(held_id, format('replaced by job %s', new_id));
        else
            standing := case
                when engine.is_running(held_id) then 'running'
                when not exists (
                    select from engine.attempt a where a.job_id = held_id and a.outcome in ('completed', 'cancelled', 'dead')) then 'pending'
            end;
        end if;
        case
            when standing = 'cancelled' then
                chain := holder.since;
                replaced_id := held_id;
            when standing = 'pending' or (standing = 'running' and not until_started) then
                return;
            when standing in ('running', 'overdue') then
                exit when engine.take_over_unique_key($1, $2, held_id, new_id, case when wait is not null then at end, standing = 'running');
            else
                -- It moves between two places at this moment, or its end is about to free the key.
                perform pg_sleep(0.002);
        end case;
    end loop;
    held_id := null;
    run_at := least(at + wait, coalesce(chain, at) + at_most);

    if period is not null then
        insert into engine.unique_period as p (kind, key, job_id, until)
        values ($1, $2, $3, at + period)
        on conflict on constraint unique_period_pkey do update set job_id = excluded.job_id, until = excluded.until
        where p.until <= at or p.job_id = replaced_id;
        if not found then
            delete from engine.unique_key u where u.kind = $1 and u.key = $2 and u.job_id = $3;
            select p.job_id into held_id from engine.unique_period p where p.kind = $1 and p.key = $2;
        end if;
    end if;
end
$$;
