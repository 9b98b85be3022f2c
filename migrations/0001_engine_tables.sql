-- The engine's ledger: facts are inserted once; only the narrow places a job can stand in are deleted from.
--
-- Why these tables and not one wide row per job: ARCHITECTURE.md, "Storage".
-- Locks: creates new objects only.

create schema engine;

-- The engine's only clock. A test database replaces this function by one that adds an offset.
-- Conditions use `(select engine.now())`, so that it is taken once and indexes stay usable.
create function engine.now() returns timestamptz
language sql volatile
as 'select clock_timestamp()';

create table engine.queue (
    name text primary key,
    paused boolean not null default false
);
comment on table engine.queue is 'Operators'' settings of a queue. Only queues that need a setting have a row.';

-- Kind and priority are part of the lane, so a claim can leave out what a worker does not know or what is
-- paused without looking at jobs, and the rows of `ready` stay narrow.
create table engine.lane (
    id integer generated always as identity primary key,
    queue text not null check (queue <> ''),
    kind text not null check (kind <> ''),
    priority smallint not null check (priority between 0 and 9),
    paused boolean not null default false,
    unique (queue, kind, priority)
);
comment on table engine.lane is 'One row per queue, kind and priority that was ever used: jobs of a lane run in order of position.';

-- Job ids and positions in `ready` come from one sequence: a job that returns enters at the right edge.
create sequence engine.position as bigint;

create table engine.job (
    id bigint not null,
    lane_id integer not null,
    max_attempts smallint check (max_attempts > 0),
    created_at timestamptz not null default engine.now(),
    args jsonb not null,
    unique_key text,
    limit_key text,
    parent_id bigint,
    trace_parent text,
    requeued_from uuid,
    primary key (id),
    -- Arguments are ids and small facts; what is larger, or grows when it is written out, would stop every claim.
    constraint job_args_size check (octet_length(args::text) <= 1048576)
) partition by range (id);
comment on table engine.job is 'What a job is. Inserted once, never updated.';
comment on column engine.job.max_attempts is 'An optional cap under the retry policy''s own.';

create table engine.ready (
    lane_id integer not null,
    attempt integer not null,
    position bigint not null,
    job_id bigint not null,
    primary key (lane_id, position)
) with (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 1000000,
    vacuum_truncate = off
);
-- A job stands at its own id at first; only those that came back need a way to be found.
create unique index ready_returned on engine.ready (job_id) where position <> job_id;
comment on table engine.ready is 'What may run now.';

create table engine.scheduled (
    run_at timestamptz not null,
    job_id bigint not null,
    lane_id integer not null,
    attempt integer not null,
    alone boolean not null default false,
    primary key (run_at, job_id)
) with (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0,
    vacuum_truncate = off
);
create unique index scheduled_job on engine.scheduled (job_id);
create index scheduled_alone on engine.scheduled (run_at) where alone;
comment on table engine.scheduled is 'What may run at a time: delayed jobs, retries, snoozes, suspects.';
comment on column engine.scheduled.alone is 'A suspect: workers died with it more than once, so it runs with nothing beside it.';

create table engine.worker (
    id bigint generated always as identity primary key,
    lease_until timestamptz not null,
    started_at timestamptz not null default engine.now(),
    dead_at timestamptz,
    name text not null,
    info jsonb not null default '{}'
) with (fillfactor = 50);
comment on table engine.worker is 'One row a worker process: its lease. dead_at is the verdict; until it is set the worker may renew.';

create table engine.claim (
    id bigint generated always as identity,
    worker_id bigint not null,
    claimed_at timestamptz not null default engine.now(),
    alone boolean not null default false,
    ids bigint[] not null,
    attempts integer[] not null,
    primary key (worker_id, id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
comment on table engine.claim is 'One row a claimed batch: these jobs run on that worker until each has an attempt row.';

create table engine.attempt (
    job_id bigint not null,
    attempt integer not null,
    policy_version integer,
    worker_id bigint,
    started_at timestamptz not null,
    finished_at timestamptz not null,
    outcome text not null check (outcome in
        ('completed', 'failed', 'snoozed', 'released', 'waiting', 'lost', 'cancelled', 'dead')),
    category text,
    error text,
    output jsonb,
    primary key (job_id, attempt)
) partition by range (job_id);
-- The last hour's figures, without a walk through the whole ledger.
create index attempt_finished on engine.attempt using brin (finished_at);
comment on table engine.attempt is 'The ledger: one row per finished attempt. Its key is the fence: an attempt ends exactly once.';
comment on column engine.attempt.category is 'The error category of failed and dead; poison on lost says that the job ran alone.';

create table engine.unique_key (
    kind text not null,
    key text not null,
    job_id bigint not null unique,
    primary key (kind, key)
);
comment on table engine.unique_key is 'One live job a key. Only jobs with a key pay.';

create table engine.enqueue_key (
    producer text not null,
    key text not null,
    job_id bigint not null,
    args_hash bytea not null,
    created_at timestamptz not null default engine.now(),
    primary key (producer, key)
);
create index enqueue_key_age on engine.enqueue_key (created_at);
comment on table engine.enqueue_key is 'A producer''s idempotency key, kept after the job ended, so that an unknown COMMIT can be retried.';

create table engine.cancel_request (
    job_id bigint primary key,
    requested_at timestamptz not null default engine.now(),
    requested_by text not null,
    reason text
);
comment on table engine.cancel_request is 'Asked to stop; every statement that would let a job go on honours it.';

-- Survivors of a dropped partition, and whatever ids no partition was made for in time: nothing is ever refused.
create table engine.job_kept partition of engine.job default;
create table engine.attempt_kept partition of engine.attempt default;

create table engine.leader (
    duty text primary key,
    worker_id bigint not null,
    term bigint not null,
    until timestamptz not null
);
comment on table engine.leader is 'Who does a duty, until when, in which term. Every act of a leader checks its term.';

-- A hint, lost at a crash without harm: producers notify only when somebody is idle.
create unlogged table engine.idle (
    worker_id bigint primary key
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);
comment on table engine.idle is 'Workers that sleep and want to be woken by NOTIFY.';

-- Used alone the engine keeps policy and dead letters itself; an application may put views over tables of
-- its own in their place.
create table engine.retry_config (
    error_category text primary key,
    max_attempts integer not null,
    backoff_seconds integer[] not null,
    alert_on_attempt integer,
    escalate_on_attempt integer,
    description text,
    version integer not null default 1
);

create table engine.retry_override (
    kind text not null,
    error_category text not null,
    max_attempts integer not null check (max_attempts > 0),
    backoff_seconds integer[] not null check (cardinality(backoff_seconds) > 0),
    version integer not null default 1,
    primary key (kind, error_category)
);
comment on table engine.retry_override is 'The retry policy of one kind, where it differs from its category''s.';

create table engine.dead_letter_queue (
    id uuid primary key default gen_random_uuid(),
    source text not null,
    topic text not null,
    payload jsonb not null,
    error_message text,
    retries integer not null default 0,
    created_at timestamptz not null default now(),
    resolved boolean not null default false,
    resolved_at timestamptz,
    job_id bigint,
    queue text,
    category text,
    fingerprint text,
    attempts integer,
    priority smallint,
    unique_key text,
    limit_key text,
    requeued_job_id bigint,
    resolved_by text,
    resolution text
);
