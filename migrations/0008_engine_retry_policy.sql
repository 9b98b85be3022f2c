-- The retry policy as live data that can be trusted: nonsense is refused with a sentence, every edit has a number and
-- stays in a history, and the row that decides when no other does cannot go.
--
-- The policy is two tables: one row a category, which an application may keep under a name of its own, and one row a
-- kind and category. engine.keep_retry_policy puts the triggers on a table; a table that takes the place of
-- engine.retry_config needs it called once.
--
-- An edit that lowers max_attempts and leaves the alerts alone takes them down with it; an alert that is set to come
-- after the last attempt is refused.
-- Locks: share row exclusive on the two tables, for moments; the rows are few.

alter table engine.retry_override
    add column alert_on_attempt integer,
    add column escalate_on_attempt integer;
comment on column engine.retry_override.alert_on_attempt is 'Null: as the category''s.';
comment on column engine.retry_override.escalate_on_attempt is 'Null: as the category''s.';

create table engine.retry_policy_history (
    id bigint generated always as identity primary key,
    category text not null,
    kind text,
    version integer not null,
    what text not null check (what in ('found', 'made', 'edited', 'removed')),
    row jsonb not null,
    changed_at timestamptz not null default engine.now(),
    changed_by text not null
);
create unique index retry_policy_history_version on engine.retry_policy_history (category, coalesce(kind, ''), version);
comment on table engine.retry_policy_history is 'Every version of every row of the retry policy; written by triggers.';
comment on column engine.retry_policy_history.kind is 'Null: the row of the whole category.';
comment on column engine.retry_policy_history.what is 'Found: as it was when this history began.';
comment on column engine.retry_policy_history.row is 'The row as it was from then on; of a removed one, as it was before.';

-- The categories that the engine gives to failures.
create function engine.error_categories() returns text[]
language sql immutable
as $$
select array['network', 'timeout', 'rate_limited', 'upstream', 'auth', 'validation', 'not_ready', 'conflict',
             'business_rule', 'poison', 'bug', 'unknown']
$$;

-- What is wrong with a row of the policy, in words; null when nothing is.
create function engine.retry_policy_fault(
    max_attempts integer, backoff_seconds integer[], alert_on_attempt integer, escalate_on_attempt integer
) returns text
language sql immutable
as $$
select case
    when coalesce(max_attempts, 0) not between 1 and 1000
        then format('max_attempts is %s and must be from 1 to 1000', coalesce(max_attempts::text, 'null'))
    when coalesce(cardinality(backoff_seconds), 0) not between 1 and 1000 or array_ndims(backoff_seconds) <> 1
        then format('backoff_seconds is %s and must be a list of 1 to 1000 delays', coalesce(left(backoff_seconds::text, 100), 'null'))
    when exists (select from unnest(backoff_seconds) s (seconds) where coalesce(seconds, -1) not between 0 and 315360000)
        then format('backoff_seconds is %s and each delay must be from 0 to 315360000 seconds, ten years', left(backoff_seconds::text, 100))
    when alert_on_attempt not between 1 and max_attempts
        then format('alert_on_attempt is %s and must be from 1 to max_attempts, %s', alert_on_attempt, max_attempts)
    when escalate_on_attempt not between 1 and max_attempts
        then format('escalate_on_attempt is %s and must be from 1 to max_attempts, %s', escalate_on_attempt, max_attempts)
    when escalate_on_attempt < alert_on_attempt
        then format('escalate_on_attempt is %s and must not come before alert_on_attempt, %s', escalate_on_attempt, alert_on_attempt)
end
$$;

create function engine.check_retry_policy() returns trigger
language plpgsql
as $$
declare
    fault text;
    of_kind text := to_jsonb(new) ->> 'kind';
begin
    if tg_op = 'UPDATE' then
        if (old.error_category, to_jsonb(old) ->> 'kind') is distinct from (new.error_category, of_kind) then
            raise exception 'the policy of category % cannot become that of another: insert a row, and delete this one',
                old.error_category using errcode = '23514';
        end if;
        if new.alert_on_attempt = old.alert_on_attempt and new.alert_on_attempt > new.max_attempts then
            new.alert_on_attempt := new.max_attempts;
        end if;
        if new.escalate_on_attempt = old.escalate_on_attempt and new.escalate_on_attempt > new.max_attempts then
            new.escalate_on_attempt := new.max_attempts;
        end if;
        new.version := old.version + (to_jsonb(old) is distinct from to_jsonb(new))::integer;
    else
        select 1 + coalesce(max(h.version), 0) into new.version from engine.retry_policy_history h
        where h.category = new.error_category and h.kind is not distinct from of_kind;
    end if;
    if of_kind is not null and new.error_category <> all (engine.error_categories())
        and (new.error_category = 'default'
             or not exists (select from engine.retry_config c where c.error_category = new.error_category)) then
        fault := format('there is no error category %L; there are %s', new.error_category,
                        array_to_string(engine.error_categories(), ', '));
    elsif of_kind = '' then
        fault := 'kind is empty and must be the name of a kind';
    else
        fault := engine.retry_policy_fault(new.max_attempts, new.backoff_seconds, new.alert_on_attempt, new.escalate_on_attempt);
    end if;
    if fault is not null then
        raise exception 'the retry policy of % is refused: %', concat_ws(' of ', new.error_category, of_kind), fault
            using errcode = '23514';
    end if;
    return new;
end
$$;

-- Who acts is `engine.actor` where a program sets it for its transaction, else the session's user.
create function engine.note_retry_policy() returns trigger
language plpgsql
as $$
declare
    noted jsonb := case when tg_op = 'DELETE' then to_jsonb(old) else to_jsonb(new) end;
begin
    if tg_op = 'UPDATE' and to_jsonb(old) is not distinct from noted then
        return null;
    end if;
    insert into engine.retry_policy_history (category, kind, version, what, row, changed_by)
    values (noted ->> 'error_category', noted ->> 'kind',
            (noted ->> 'version')::integer + (tg_op = 'DELETE')::integer,
            case tg_op when 'INSERT' then 'made' when 'UPDATE' then 'edited' else 'removed' end,
            noted, coalesce(nullif(current_setting('engine.actor', true), ''), session_user));
    return null;
end
$$;

create function engine.keep_retry_default() returns trigger
language plpgsql
as $$
begin
    if tg_op = 'TRUNCATE' then
        raise exception 'the retry policy cannot be truncated: its history would not know; delete its rows' using errcode = '23514';
    end if;
    raise exception 'the row `default` of the retry policy cannot be deleted: it decides for categories without a row of their own; edit it'
        using errcode = '23514';
end
$$;

-- Puts the triggers on a table of the policy, and writes down what it holds.
create function engine.keep_retry_policy(policy regclass) returns void
language plpgsql
as $$
begin
    execute format('create trigger check_retry_policy before insert or update on %s
                    for each row execute function engine.check_retry_policy()', policy);
    execute format('create trigger keep_retry_default before delete on %s
                    for each row when (old.error_category = ''default'') execute function engine.keep_retry_default()', policy);
    execute format('create trigger keep_retry_policy before truncate on %s
                    for each statement execute function engine.keep_retry_default()', policy);
    execute format('create trigger note_retry_policy after insert or update or delete on %s
                    for each row execute function engine.note_retry_policy()', policy);
    execute format('insert into engine.retry_policy_history (category, kind, version, what, row, changed_by)
                    select p.error_category, to_jsonb(p) ->> ''kind'', p.version, ''found'', to_jsonb(p), ''the migration''
                    from %s p on conflict do nothing', policy);
end
$$;
comment on function engine.keep_retry_policy(regclass) is 'To be called once for a table that takes the place of engine.retry_config.';

select engine.keep_retry_policy('engine.retry_override');
-- Where an application's table stands in its place already, the application calls it.
select engine.keep_retry_policy(c.oid) from pg_class c where c.oid = 'engine.retry_config'::regclass and c.relkind = 'r';
