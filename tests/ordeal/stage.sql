-- What a run needs in its database besides the product's own: a place for effects, and the policy that the model knows.
create schema ordeal;
create table ordeal.effect (
    program text not null,
    act integer not null,
    job_id bigint not null,
    attempt integer not null,
    last boolean not null,
    at timestamptz not null default clock_timestamp()
);
create index on ordeal.effect (program);
-- Every worker that ever lived, and the verdict on it with the lease it had then: one that comes back takes its row away.
create table ordeal.worker (id bigint primary key, pid bigint, dead_at timestamptz, lease_until timestamptz not null);
create function ordeal.keep_worker() returns trigger language plpgsql security definer as
    $$ begin
        insert into ordeal.worker values (new.id, (new.info ->> 'pid')::bigint, new.dead_at, new.lease_until)
        on conflict (id) do update set dead_at = excluded.dead_at, lease_until = excluded.lease_until; return null; end $$;
create trigger keep_worker after insert or update of dead_at on engine.worker for each row execute function ordeal.keep_worker();
-- Every change of a breaker: the engine has the last one alone. Of one breaker the numbers are in the order of commits, since whoever
-- writes here has its row.
create table ordeal.switch (
    id bigint generated always as identity primary key,
    system text not null,
    state text not null,
    held text,
    probe_at timestamptz,
    probe_job bigint,
    probe_attempt integer,
    at timestamptz not null default engine.now()
);
create function ordeal.keep_switch() returns trigger language plpgsql security definer as
    $$ begin
        insert into ordeal.switch (system, state, held, probe_at, probe_job, probe_attempt)
        values (new.system, new.state, new.held, new.probe_at, new.probe_job, new.probe_attempt); return null; end $$;
create trigger keep_switch after update on engine.breaker for each row
    when ((old.state, old.held, old.probe_at, old.probe_job, old.probe_attempt)
        is distinct from (new.state, new.held, new.probe_at, new.probe_job, new.probe_attempt))
    execute function ordeal.keep_switch();
