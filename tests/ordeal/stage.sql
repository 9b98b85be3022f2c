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
