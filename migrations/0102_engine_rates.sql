-- Limits of queues and kinds over the whole fleet, and rates of queues, kinds and keys.
--
-- A queue or kind with a limit is claimed by a statement of its own, which first locks the limit's row: what it counts then
-- is all there is. Lanes without such a limit are claimed as before. A rate is kept as the moment from which on nothing is
-- owed (`free_at`), on the database's clock, and is charged in the transaction that claims: a crash loses what was charged
-- and admits nothing twice. Its steps are chosen so that in no span as long as the period more than `rate` are let go,
-- however they fall: with bursts of b, one each per_ms / (rate - b + 1).
-- Locks: access exclusive on limit_setting, which is small, for a moment; else new objects, functions replaced.

alter table engine.limit_setting
    drop constraint limit_setting_scope_check,
    drop constraint limit_setting_cap_check,
    add column rate integer,
    add column per_ms bigint,
    add column burst integer,
    add column weight integer not null default 1,
    add column free_at timestamptz,
    add constraint limit_setting_scope_check check (scope in ('queue', 'kind', 'key')),
    add constraint limit_setting_cap_check check (cap between 1 and 10000),
    add constraint limit_setting_rate_check check (
        (rate is null and per_ms is null and burst is null)
        or (rate between 1 and 1000000 and per_ms between 100 and 31536000000 and burst between 1 and rate
            and rate is not null and per_ms is not null and burst is not null)),
    add constraint limit_setting_weight_check check (weight between 1 and 1000 and (weight = 1 or scope = 'kind'));
comment on table engine.limit_setting is 'What limits jobs: a queue, a kind, a key, or all keys that begin with what stands before a final *, of which the longest name wins.';
comment on column engine.limit_setting.cap is 'How many run at once; of a key, how many stand in ready or run. Null: no limit; of a key 100, so that none fills ready.';
comment on column engine.limit_setting.rate is 'How many are let go in any span of per_ms; null for any number.';
comment on column engine.limit_setting.burst is 'How many of them at once.';
comment on column engine.limit_setting.weight is 'How much of any rate a job of this kind takes.';
comment on column engine.limit_setting.free_at is 'The rate''s state: nothing is owed from then on.';

alter table engine.limit_setting set (
    fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);

create table engine.permit (
    job_id bigint not null,
    setting_id integer not null,
    primary key (job_id, setting_id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
create index permit_setting on engine.permit (setting_id);
comment on table engine.permit is 'One row a running job and limit of its queue or kind.';

create table engine.pace (
    limit_key text primary key,
    free_at timestamptz not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
comment on table engine.pace is 'The state of the rate of each key that has one: nothing is owed from then on.';

alter table engine.slot add column charged boolean not null default false;
comment on column engine.slot.charged is 'Whether its run was counted against the rate of its key.';

-- The seconds between two steps of a rate, so that bursts and steps together never exceed it in any period.
create function engine.rate_step(rate integer, per_ms bigint, burst integer) returns double precision
language sql immutable
as $$
select per_ms / 1000.0::float8 / (rate - burst + 1)
$$;

-- What is owed at `at`: never more than a whole burst, whatever became of the setting or of the clock since.
create function engine.rate_owed(rate integer, per_ms bigint, burst integer, free_at timestamptz, at timestamptz) returns double precision
language sql immutable
as $$
select greatest(0, least(coalesce(extract(epoch from free_at - at)::float8, 0), burst * engine.rate_step(rate, per_ms, burst)))
$$;

-- How much of a rate may be taken at `at`.
create function engine.rate_left(rate integer, per_ms bigint, burst integer, free_at timestamptz, at timestamptz) returns integer
language sql immutable
as $$
select greatest(0, burst - ceil(engine.rate_owed(rate, per_ms, burst, free_at, at) / engine.rate_step(rate, per_ms, burst) - 1e-6)::integer)
$$;

-- The rate's state after `taken` were taken at `at`.
create function engine.rate_after(rate integer, per_ms bigint, burst integer, free_at timestamptz, at timestamptz, taken bigint) returns timestamptz
language sql immutable
as $$
select at + make_interval(secs => engine.rate_owed(rate, per_ms, burst, free_at, at) + taken * engine.rate_step(rate, per_ms, burst))
$$;

-- How many seconds after `at` so much of a rate can be taken.
create function engine.rate_wait(rate integer, per_ms bigint, burst integer, free_at timestamptz, at timestamptz, wanted integer) returns double precision
language sql immutable
as $$
select greatest(0, engine.rate_owed(rate, per_ms, burst, free_at, at)
    - (burst - least(wanted, burst)) * engine.rate_step(rate, per_ms, burst))
$$;

drop function engine.limit_of_key(text);
-- What limits the jobs of a key. One row, whatever the key; a key that is held has no slots to give. Expanded into the
-- statements that use it.
create function engine.limit_of_key(limit_key text)
returns table (cap integer, in_order boolean, rate integer, per_ms bigint, burst integer)
language sql stable
as $$
select
    case when exists (
        select from engine.paused p
        where p.scope = 'key' and (p.name = $1 or (right(p.name, 1) = '*' and starts_with($1, left(p.name, -1)))))
    then 0 else coalesce(l.cap, 100) end,
    coalesce(l.in_order, false), l.rate, l.per_ms, l.burst
from (select 1) one
left join lateral (
    select s.cap, s.in_order, s.rate, s.per_ms, s.burst from engine.limit_setting s where s.scope = 'key' and s.name = $1
    union all
    (select s.cap, s.in_order, s.rate, s.per_ms, s.burst from engine.limit_setting s
     where s.scope = 'key' and right(s.name, 1) = '*' and starts_with($1, left(s.name, -1))
     order by length(s.name) desc limit 1)
    limit 1
) l on true
$$;

-- Gives back the slots of jobs that ended or that run later: each goes to the head of its key's queue, which enters
-- ready with it, or is free. A number above the cap goes away, and of a key with a rate each does: its jobs are let in
-- when the rate allows. Returns how many jobs entered ready. It takes each snapshot anew, so it sees what was committed
-- while the caller's statement waited.
-- Locks: the slots; heads of waiting, skip locked.
create or replace function engine.give_back(jobs bigint[]) returns integer
language plpgsql
-- Its plan is made once a session, perhaps when the tables were empty.
set enable_seqscan = off
as $$
declare
    moved integer;
begin
    with freed as materialized (
        select s.limit_key, s.n, row_number() over (partition by s.limit_key order by s.n) as turn
        from engine.slot s where s.job_id = any (give_back.jobs)
    ),
    usable as materialized (
        select f.limit_key, count(*) as places
        from (select k.limit_key, l.cap from (select distinct limit_key from freed) k
              cross join lateral engine.limit_of_key(k.limit_key) l where l.rate is null) c
        join freed f on f.limit_key = c.limit_key and f.n <= c.cap
        group by f.limit_key
    ),
    heads as materialized (
        select u.limit_key, h.position, h.job_id, h.lane_id, h.attempt,
            row_number() over (partition by u.limit_key order by h.position) as turn
        from usable u
        cross join lateral (
            select w.position, w.job_id, w.lane_id, w.attempt from engine.waiting w
            where w.limit_key = u.limit_key
            order by w.position
            limit u.places
            for update skip locked
        ) h
    ),
    handed as (
        update engine.slot s set job_id = h.job_id
        from freed f join heads h on h.limit_key = f.limit_key and h.turn = f.turn
        where s.limit_key = f.limit_key and s.n = f.n
    ),
    dropped as (
        delete from engine.slot s using freed f
        where s.limit_key = f.limit_key and s.n = f.n
          and not exists (select from heads h where h.limit_key = f.limit_key and h.turn = f.turn)
    ),
    gone as (
        delete from engine.waiting w using heads h where w.position = h.position
    ),
    entered as (
        insert into engine.ready (lane_id, attempt, position, job_id)
        select h.lane_id, h.attempt, nextval('engine.position'), h.job_id from heads h
        returning 1
    )
    select count(*) into moved from entered;
    if moved > 0 then
        perform engine.wake();
    end if;
    return moved;
end
$$;
