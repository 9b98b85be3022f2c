-- Circuit breakers: what is known of each outside system, and the kinds of job that are held while it is down.
--
-- Workers count how the attempts of such kinds ended, each in its memory, and report a few times a second. When a share of
-- them failed in one of the breaker's categories it opens: its kinds are not claimed, so their jobs stay where they are and
-- burn no attempt. After a cool-down one job is let go as a probe, over the whole fleet; when the system answers it the
-- breaker closes, else it stays open for longer, or for as long as the other side asked.
-- Locks: creates new objects only.

create table engine.breaker (
    system text primary key check (system <> '' and octet_length(system) <= 200),
    categories text[] not null default '{network,timeout,upstream,rate_limited}' check (cardinality(categories) between 1 and 50),
    share double precision not null default 0.5 check (share > 0 and share <= 1),
    at_least integer not null default 10 check (at_least between 1 and 100000),
    window_ms integer not null default 60000 check (window_ms between 1000 and 3600000),
    cooldown_ms integer not null default 10000 check (cooldown_ms between 100 and 86400000),
    cooldown_most_ms integer not null default 600000 check (cooldown_most_ms between 100 and 86400000),
    changed_at timestamptz not null default engine.now(),
    changed_by text not null default 'the program',
    state text not null default 'closed' check (state in ('closed', 'open', 'half_open')),
    since timestamptz not null default engine.now(),
    openings integer not null default 0,
    closings bigint not null default 0,
    probe_at timestamptz,
    probe_claim bigint,
    probe_job bigint,
    probe_attempt integer,
    held text check (held in ('open', 'closed')),
    held_at timestamptz,
    held_by text,
    reason text,
    last_failed_at timestamptz,
    last_category text,
    last_error text,
    check (cooldown_most_ms >= cooldown_ms),
    check (state <> 'open' or probe_at is not null),
    check (state <> 'half_open' or (probe_claim is not null and probe_job is not null and probe_attempt is not null)),
    check (held is null or (held_at is not null and held_by is not null))
) with (fillfactor = 50);
comment on table engine.breaker is 'One row an outside system: whether it is called at this moment, and by which rule that is decided.';
comment on column engine.breaker.categories is 'The error categories that say that the system is down. A job that completes says that it is not; other failures say nothing.';
comment on column engine.breaker.share is 'It opens when so much of the attempts of window_ms failed so, of at_least so many.';
comment on column engine.breaker.cooldown_ms is 'How long it stays open before a probe; twice as long each time a probe fails, up to cooldown_most_ms, and never shorter than the other side asked.';
comment on column engine.breaker.since is 'Since when it is closed, or is not.';
comment on column engine.breaker.openings is 'How often it opened since it was last closed.';
comment on column engine.breaker.closings is 'How often it was closed. What was counted before is over then.';
comment on column engine.breaker.probe_at is 'When the next probe may go.';
comment on column engine.breaker.held is 'What an operator holds it at, whatever its state; null: its state decides. Change it with engine.hold_breaker.';

create table engine.breaker_kind (
    kind text primary key,
    system text not null
);
comment on table engine.breaker_kind is 'Which outside system each kind of job calls, as its program says.';

create table engine.breaker_count (
    system text not null,
    closings bigint not null,
    second timestamptz not null,
    answered bigint not null,
    failed bigint not null,
    primary key (system, closings, second)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);
comment on table engine.breaker_count is 'Attempts that ended in each second: those that their system answered, and those that say that it is down.';

create view engine.barred as
select k.kind, b.system, coalesce(b.held, b.state) as state, coalesce(case when b.held is not null then b.held_at end, b.since) as since,
    case when b.held is null and b.state = 'open' then b.probe_at end as probe_at, b.held_by, b.reason, b.last_error
from engine.breaker b
join engine.breaker_kind k on k.system = b.system
where coalesce(b.held, b.state) <> 'closed';
comment on view engine.barred is 'The kinds that are not claimed at this moment because the system that they call is down, or is held to be.';

create view engine.breaker_figures as
select b.system, coalesce(b.held, b.state) as state, b.held is not null as held,
    greatest(0, extract(epoch from c.at - case when b.held is not null then b.held_at else b.since end))::float8 as seconds
from engine.breaker b
cross join (select engine.now() as at) c;
comment on view engine.breaker_figures is 'The state of each breaker, and for how long it has been so.';

-- Holds a breaker open or closed, or, with null, lets its state decide again: one that is not closed is probed at once.
-- Returns whether there is such a breaker.
-- Errors: 22023 for another word.
-- Locks: the breaker.
create function engine.hold_breaker(system text, held text, asked_by text, reason text default null) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    at timestamptz := engine.now();
begin
    if hold_breaker.held is not null and hold_breaker.held not in ('open', 'closed') then
        raise exception 'a breaker is held open or closed' using errcode = '22023';
    end if;
    update engine.breaker b
    set held = hold_breaker.held,
        held_at = case when hold_breaker.held is not null then at end,
        held_by = case when hold_breaker.held is not null then hold_breaker.asked_by end,
        reason = case when hold_breaker.held is not null then hold_breaker.reason end,
        -- What was held open is tried with one job first; what was held closed begins to be judged.
        state = case when hold_breaker.held is not null or b.held is null then b.state when b.held = 'open' then 'open' else 'closed' end,
        since = case when hold_breaker.held is null and b.held is not null then at else b.since end,
        closings = b.closings + case when hold_breaker.held is null and b.held is not null then 1 else 0 end,
        probe_at = case when hold_breaker.held is null and (b.held = 'open' or b.state = 'open') then at else b.probe_at end
    where b.system = hold_breaker.system;
    if not found then
        return false;
    end if;
    perform engine.wake();
    return true;
end
$$;
