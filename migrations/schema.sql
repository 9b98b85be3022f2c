-- The schema that the migrations make: for reading, and for comparing with a database.
-- Written by `rawops migrate --schema`; never edited, never run.

-- Schemas, extensions, types, sequences

create schema engine;

create schema raw_ops;
comment on schema raw_ops is 'The operations of Protocol Raw: every table of the component registry.';

create extension citext;

create extension pg_trgm;

create type raw_ops.batch_status as enum ('QA_HOLD', 'RELEASED', 'REJECTED', 'RECALLED', 'DEPLETED');

create type raw_ops.lab_outcome as enum ('PASS', 'FAIL', 'REVIEW');

create type raw_ops.order_status as enum ('PENDING', 'PAID', 'ALLOCATED', 'PARTIALLY_ALLOCATED', 'EXPORTED', 'DISPATCHED', 'DELIVERED', 'CANCELLED', 'REFUNDED');

create type raw_ops.shipment_status as enum ('CREATED', 'DISPATCHED', 'IN_TRANSIT', 'OUT_FOR_DELIVERY', 'DELIVERED', 'EXCEPTION', 'RETURNED');

create domain raw_ops.vector as real[] constraint vector_check check (array_ndims(value) = 1 and cardinality(value) = 384 and array_position(value, null::real) is null);

create sequence engine."position" as bigint start 1 increment 1 cache 1;

-- Tables

create table engine.aftermath (
    job_id bigint not null,
    ended_at timestamp with time zone not null,
    reached boolean default false not null,
    constraint aftermath_pkey primary key (job_id)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
comment on table engine.aftermath is 'Workflows that were cancelled or died, until their children are stopped and their undoing is enqueued.';
comment on column engine.aftermath.reached is 'Every child was asked to stop.';

create table engine.attempt (
    job_id bigint not null,
    attempt integer not null,
    policy_version integer,
    worker_id bigint,
    started_at timestamp with time zone not null,
    finished_at timestamp with time zone not null,
    outcome text not null,
    category text,
    error text,
    output jsonb,
    constraint attempt_pkey primary key (job_id, attempt),
    constraint attempt_outcome_check check (outcome = any (array['completed'::text, 'failed'::text, 'snoozed'::text, 'released'::text, 'waiting'::text, 'lost'::text, 'cancelled'::text, 'dead'::text]))
) partition by range (job_id);
create index attempt_finished on only engine.attempt using brin (finished_at);
comment on table engine.attempt is 'The ledger: one row per finished attempt. Its key is the fence: an attempt ends exactly once.';
comment on column engine.attempt.category is 'The error category of failed and dead; poison on lost says that the job ran alone.';

create table engine.attempt_kept partition of engine.attempt default;

create table engine.attempt_minute (
    minute timestamp with time zone not null,
    outcome text not null,
    category text not null,
    ended bigint not null,
    constraint attempt_minute_pkey primary key (minute, outcome, category)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, fillfactor = 70);
comment on table engine.attempt_minute is 'Attempts that ended in each minute of the last two days, by outcome and category.';

create table engine.breaker (
    system text not null,
    categories text[] default '{network,timeout,upstream,rate_limited}'::text[] not null,
    share double precision default 0.5 not null,
    at_least integer default 10 not null,
    window_ms integer default 60000 not null,
    cooldown_ms integer default 10000 not null,
    cooldown_most_ms integer default 600000 not null,
    changed_at timestamp with time zone default engine.now() not null,
    changed_by text default 'the program'::text not null,
    state text default 'closed'::text not null,
    since timestamp with time zone default engine.now() not null,
    openings integer default 0 not null,
    closings bigint default 0 not null,
    probe_at timestamp with time zone,
    probe_claim bigint,
    probe_job bigint,
    probe_attempt integer,
    held text,
    held_at timestamp with time zone,
    held_by text,
    reason text,
    last_failed_at timestamp with time zone,
    last_category text,
    last_error text,
    constraint breaker_pkey primary key (system),
    constraint breaker_at_least_check check (at_least >= 1 and at_least <= 100000),
    constraint breaker_categories_check check (cardinality(categories) >= 1 and cardinality(categories) <= 50),
    constraint breaker_check check (cooldown_most_ms >= cooldown_ms),
    constraint breaker_check1 check (state <> 'open'::text or probe_at is not null),
    constraint breaker_check2 check (state <> 'half_open'::text or probe_claim is not null and probe_job is not null and probe_attempt is not null),
    constraint breaker_check3 check (held is null or held_at is not null and held_by is not null),
    constraint breaker_cooldown_most_ms_check check (cooldown_most_ms >= 100 and cooldown_most_ms <= 86400000),
    constraint breaker_cooldown_ms_check check (cooldown_ms >= 100 and cooldown_ms <= 86400000),
    constraint breaker_held_check check (held = any (array['open'::text, 'closed'::text])),
    constraint breaker_share_check check (share > 0::double precision and share <= 1::double precision),
    constraint breaker_state_check check (state = any (array['closed'::text, 'open'::text, 'half_open'::text])),
    constraint breaker_system_check check (system <> ''::text and octet_length(system) <= 200),
    constraint breaker_window_ms_check check (window_ms >= 1000 and window_ms <= 3600000)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, fillfactor = 50);
comment on table engine.breaker is 'One row an outside system: whether it is called at this moment, and by which rule that is decided.';
comment on column engine.breaker.categories is 'The error categories that say that the system is down. A job that completes says that it is not; other failures say nothing.';
comment on column engine.breaker.share is 'It opens when so much of the attempts of window_ms failed so, of at_least so many.';
comment on column engine.breaker.cooldown_ms is 'How long it stays open before a probe; twice as long each time a probe fails, up to cooldown_most_ms, and never shorter than the other side asked.';
comment on column engine.breaker.since is 'Since when it is closed, or is not.';
comment on column engine.breaker.openings is 'How often it opened since it was last closed.';
comment on column engine.breaker.closings is 'How often it was closed. What was counted before is over then.';
comment on column engine.breaker.probe_at is 'When the next probe may go.';
comment on column engine.breaker.held is 'What an operator holds it at, whatever its state; null: its state decides. Change it with engine.hold_breaker.';

create table engine.breaker_count (
    system text not null,
    closings bigint not null,
    second timestamp with time zone not null,
    answered bigint not null,
    failed bigint not null,
    constraint breaker_count_pkey primary key (system, closings, second)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, fillfactor = 50);
comment on table engine.breaker_count is 'Attempts that ended in each second: those that their system answered, and those that say that it is down.';

create table engine.breaker_kind (
    kind text not null,
    system text not null,
    constraint breaker_kind_pkey primary key (kind)
);
comment on table engine.breaker_kind is 'Which outside system each kind of job calls, as its program says.';

create table engine.cancel_request (
    job_id bigint not null,
    requested_at timestamp with time zone default engine.now() not null,
    requested_by text not null,
    reason text,
    constraint cancel_request_pkey primary key (job_id)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
comment on table engine.cancel_request is 'Asked to stop; every statement that would let a job go on honours it.';

create table engine.child (
    job_id bigint not null,
    parent_id bigint not null,
    "position" integer not null,
    n integer not null,
    stays boolean default false not null,
    constraint child_pkey primary key (job_id)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
create index child_open on engine.child using btree (parent_id, "position");
comment on table engine.child is 'Children of workflows that have not ended, by the step that made them.';
comment on column engine.child.stays is 'It goes on when its parent is cancelled or dies.';

create table engine.child_end (
    parent_id bigint not null,
    "position" integer not null,
    n integer not null,
    job_id bigint not null,
    ended_at timestamp with time zone not null,
    outcome text not null,
    category text,
    error text,
    output jsonb,
    constraint child_end_pkey primary key (parent_id, "position", n),
    constraint child_end_outcome_check check (outcome = any (array['completed'::text, 'cancelled'::text, 'dead'::text]))
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000);
comment on table engine.child_end is 'How children of workflows ended, for their parents to read. Goes with the parent.';

create table engine.claim (
    id bigint generated always as identity,
    worker_id bigint not null,
    claimed_at timestamp with time zone default engine.now() not null,
    alone boolean default false not null,
    ids bigint[] not null,
    attempts integer[] not null,
    in_runs boolean default false not null,
    constraint claim_pkey primary key (worker_id, id)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
comment on table engine.claim is 'One row a claimed batch: these jobs run on that worker until each has an attempt row.';
comment on column engine.claim.in_runs is 'Whether jobs in it follow each other on one slot of their limit key, which the last of them holds.';

create table engine.compensation (
    job_id bigint not null,
    "position" integer not null,
    n integer not null,
    queue text not null,
    kind text not null,
    priority smallint not null,
    max_attempts smallint,
    args jsonb not null,
    undone_at timestamp with time zone,
    undone_by bigint,
    limit_key text,
    constraint compensation_pkey primary key (job_id, "position", n)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
comment on table engine.compensation is 'The jobs that undo what a workflow did, should it die or be cancelled; the last one first.';
comment on column engine.compensation.undone_by is 'The job that undid it.';
comment on column engine.compensation.limit_key is 'The key whose limit the job counts against.';

create table engine.duty (
    name text not null,
    period_ms bigint not null,
    succeeded_at timestamp with time zone,
    failed_at timestamp with time zone,
    failures integer default 0 not null,
    error text,
    took_ms double precision,
    did bigint,
    worker_id bigint,
    term bigint,
    since timestamp with time zone default engine.now() not null,
    constraint duty_pkey primary key (name),
    constraint duty_period_ms_check check (period_ms > 0)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, fillfactor = 50);
comment on table engine.duty is 'The acts of the house, each by one process at a time, and the health of each.';
comment on column engine.duty.failures is 'How often it failed in a row.';
comment on column engine.duty.did is 'How many rows or objects the last success dealt with.';

create table engine.enqueue_key (
    producer text not null,
    key text not null,
    job_id bigint not null,
    args_hash bytea not null,
    created_at timestamp with time zone default engine.now() not null,
    constraint enqueue_key_pkey primary key (producer, key)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000);
create index enqueue_key_age on engine.enqueue_key using btree (created_at);
comment on table engine.enqueue_key is 'A producer''s idempotency key, kept after the job ended, so that an unknown COMMIT can be retried.';

create table engine.event (
    id bigint generated always as identity,
    name text not null,
    key text not null,
    emitted_at timestamp with time zone not null,
    idempotency_key text,
    payload jsonb not null,
    trace_parent text,
    constraint event_pkey primary key (name, key, id),
    constraint event_idempotency_key_check check (length(idempotency_key) <= 500),
    constraint event_key_check check (length(key) <= 500),
    constraint event_name_check check (name <> ''::text and length(name) <= 200),
    constraint event_payload_size check (octet_length(payload::text) <= 1048576)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
create index event_age on engine.event using btree (emitted_at);
create unique index event_once on engine.event using btree (name, key, idempotency_key) where idempotency_key is not null;
comment on table engine.event is 'What happened, by name and correlation key. Of one name and key, ids grow in the order of commits.';
comment on column engine.event.trace_parent is 'In whose trace it was emitted: the header traceparent of W3C, and tracestate behind a blank where there is one.';

create table engine.event_wait (
    job_id bigint not null,
    name text not null,
    key text not null,
    after bigint not null,
    since timestamp with time zone not null,
    constraint event_wait_pkey primary key (job_id)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
create index event_wait_topic on engine.event_wait using btree (name, key);
comment on table engine.event_wait is 'The event that each workflow waits for. The row goes when the event comes: then the job does not stay parked.';
comment on column engine.event_wait.after is 'The last event of this name and key that the job has had.';

create unlogged table engine.idle (
    worker_id bigint not null,
    constraint idle_pkey primary key (worker_id)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
comment on table engine.idle is 'Workers that sleep and want to be woken by NOTIFY.';

create table engine.job (
    id bigint not null,
    lane_id integer not null,
    max_attempts smallint,
    created_at timestamp with time zone default engine.now() not null,
    args jsonb not null,
    unique_key text,
    limit_key text,
    parent_id bigint,
    trace_parent text,
    requeued_from uuid,
    deadline timestamp with time zone,
    constraint job_pkey primary key (id),
    constraint created_at_is_from_the_year_1_to_9999 check (created_at >= '0001-01-01 00:00:00+00'::timestamp with time zone and created_at < '10000-01-01 00:00:00+00'::timestamp with time zone) not valid,
    constraint deadline_is_from_the_year_1_to_9999 check (deadline >= '0001-01-01 00:00:00+00'::timestamp with time zone and deadline < '10000-01-01 00:00:00+00'::timestamp with time zone) not valid,
    constraint job_args_size check (octet_length(args::text) <= 1048576),
    constraint job_max_attempts_check check (max_attempts > 0)
) partition by range (id);
comment on table engine.job is 'What a job is. Inserted once, never updated.';
comment on column engine.job.max_attempts is 'An optional cap under the retry policy''s own.';
comment on column engine.job.deadline is 'After this moment no attempt of it begins: it is dropped instead, as cancelled of category deadline.';

create table engine.job_kept partition of engine.job default;

create table engine.kind (
    name text not null,
    queue text not null,
    priority smallint not null,
    declared_at timestamp with time zone default engine.now() not null,
    constraint kind_pkey primary key (name),
    constraint kind_priority_check check (priority >= 0 and priority <= 9)
);
comment on table engine.kind is 'Where jobs of a kind go unless their producer says otherwise, as the worker said that began last. A kind that no worker knows yet goes to the queue default.';

create table engine.lane (
    id integer generated always as identity,
    queue text not null,
    kind text not null,
    priority smallint not null,
    paused boolean default false not null,
    constraint lane_pkey primary key (id),
    constraint lane_queue_kind_priority_key unique (queue, kind, priority),
    constraint lane_kind_check check (kind <> ''::text),
    constraint lane_priority_check check (priority >= 0 and priority <= 9),
    constraint lane_queue_check check (queue <> ''::text)
);
comment on table engine.lane is 'One row per queue, kind and priority that was ever used: jobs of a lane run in order of position.';

create table engine.lane_figures (
    lane_id integer not null,
    ready bigint default 0 not null,
    floor bigint default 0 not null,
    oldest_at timestamp with time zone,
    scheduled bigint default 0 not null,
    constraint lane_figures_pkey primary key (lane_id)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, fillfactor = 50);
comment on table engine.lane_figures is 'How many jobs stand in each lane; engine.measure_figures keeps it.';
comment on column engine.lane_figures.ready is 'Jobs that may run now; of more than 20,000 an estimate by some pages of the table, where these have ten thousand of them.';
comment on column engine.lane_figures.floor is 'Nothing stands at or below this position of `ready`, and nothing can come there.';
comment on column engine.lane_figures.oldest_at is 'When the job at the head of the lane was enqueued.';
comment on column engine.lane_figures.scheduled is 'Jobs that run at a time; of many an estimate, by some pages of the table.';

create table engine.leader (
    duty text not null,
    worker_id bigint not null,
    term bigint not null,
    until timestamp with time zone not null,
    constraint leader_pkey primary key (duty)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200, fillfactor = 50);
comment on table engine.leader is 'Who does a duty, until when, in which term. Every act of a leader checks its term.';

create table engine.limit_setting (
    id integer generated always as identity,
    scope text not null,
    name text not null,
    cap integer,
    in_order boolean default false not null,
    declared jsonb,
    changed_at timestamp with time zone default engine.now() not null,
    changed_by text not null,
    rate integer,
    per_ms bigint,
    burst integer,
    weight integer default 1 not null,
    free_at timestamp with time zone,
    constraint limit_setting_pkey primary key (id),
    constraint limit_setting_scope_name_key unique (scope, name),
    constraint limit_setting_cap_check check (cap >= 1 and cap <= 10000),
    constraint limit_setting_in_order_check check (not in_order or scope = 'key'::text),
    constraint limit_setting_name_check check (name <> ''::text and octet_length(name) <= 500),
    constraint limit_setting_rate_check check (rate is null and per_ms is null and burst is null or rate >= 1 and rate <= 1000000 and per_ms >= 100 and per_ms <= '31536000000'::bigint and burst >= 1 and burst <= rate and rate is not null and per_ms is not null and burst is not null),
    constraint limit_setting_scope_check check (scope = any (array['queue'::text, 'kind'::text, 'key'::text])),
    constraint limit_setting_weight_check check (weight >= 1 and weight <= 1000 and (weight = 1 or scope = 'kind'::text))
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, fillfactor = 50);
create index limit_setting_pattern on engine.limit_setting using btree (name) where "right"(name, 1) = '*'::text;
comment on table engine.limit_setting is 'What limits jobs: a queue, a kind, a key, or all keys that begin with what stands before a final *, of which the longest name wins.';
comment on column engine.limit_setting.cap is 'How many run at once; of a key, how many stand in ready or run. Null: no limit; of a key 100, so that none fills ready.';
comment on column engine.limit_setting.in_order is 'Whether a job keeps its slot while it waits for a retry, so that a cap of 1 keeps the order of jobs.';
comment on column engine.limit_setting.declared is 'What a program says of it; null when only operators do.';
comment on column engine.limit_setting.rate is 'How many are let go in any span of per_ms; null for any number.';
comment on column engine.limit_setting.burst is 'How many of them at once.';
comment on column engine.limit_setting.weight is 'How much of any rate a job of this kind takes.';
comment on column engine.limit_setting.free_at is 'The rate''s state: nothing is owed from then on.';

create table engine.log_line (
    job_id bigint not null,
    "position" bigint not null,
    attempt integer not null,
    logged_at timestamp with time zone not null,
    line text not null,
    constraint log_line_pkey primary key (job_id, "position")
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000);
comment on table engine.log_line is 'The last lines that each job logged.';

create table engine.lookout (
    lease_ms bigint not null,
    seen_at timestamp with time zone not null,
    gap_ms bigint not null,
    gap_at timestamp with time zone not null,
    constraint lookout_pkey primary key (lease_ms),
    constraint lookout_lease_ms_check check (lease_ms > 0)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200, fillfactor = 50);
comment on table engine.lookout is 'As engine.watch, by programs of before: when they last looked at the leases. Nothing else reads it.';
comment on column engine.lookout.gap_ms is 'The longest time between two looks of late.';
comment on column engine.lookout.gap_at is 'When that ended. A lease and a half later it no longer counts.';

create table engine.measured (
    one boolean default true not null,
    measured_at timestamp with time zone,
    safe_position bigint default 0 not null,
    mark_position bigint default 0 not null,
    mark_xid bigint default 0 not null,
    deep_at timestamp with time zone,
    deep_ms double precision default 0 not null,
    slow_at timestamp with time zone,
    slow_ms double precision default 0 not null,
    claims bigint default 0 not null,
    claimed bigint default 0 not null,
    dead bigint default 0 not null,
    rolled_to timestamp with time zone,
    constraint measured_pkey primary key (one),
    constraint measured_one_check check (one)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, fillfactor = 50);
comment on table engine.measured is 'One row: when figures were measured, and those of the whole engine.';
comment on column engine.measured.safe_position is 'No transaction that is open can still add a position up to here.';
comment on column engine.measured.deep_ms is 'How long the last count of deep lanes took; the next comes after twenty times as long.';
comment on column engine.measured.claimed is 'Jobs in claims: those that run and those of batches that are not closed yet.';
comment on column engine.measured.rolled_to is 'Attempts that finished up to here are in engine.attempt_minute.';

create table engine.notice (
    id bigint generated always as identity,
    at timestamp with time zone not null,
    level text not null,
    job_id bigint not null,
    attempt integer not null,
    queue text not null,
    kind text not null,
    category text,
    error text,
    constraint notice_pkey primary key (id),
    constraint notice_level_check check (level = any (array['alert'::text, 'escalate'::text, 'dead'::text]))
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
comment on table engine.notice is 'What a person should hear of: taken away by whoever tells people.';
comment on column engine.notice.level is 'alert and escalate: the failure had the number of the policy''s alert_on_attempt or escalate_on_attempt; dead: neither, and there is no next.';

create table engine.occurrence (
    schedule text not null,
    occurrence timestamp with time zone not null,
    fired_at timestamp with time zone default engine.now() not null,
    job_id bigint,
    how text not null,
    by text,
    note text,
    constraint occurrence_pkey primary key (schedule, occurrence),
    constraint occurrence_how_check check (how = any (array['cron'::text, 'manual'::text, 'misfire'::text]))
);
create index occurrence_history on engine.occurrence using btree (schedule, fired_at desc);
create index occurrence_job on engine.occurrence using btree (schedule, fired_at desc) where job_id is not null;
create index occurrence_of_job on engine.occurrence using btree (job_id) where job_id is not null;
comment on table engine.occurrence is 'Each time a schedule came, and the job that it made.';
comment on column engine.occurrence.job_id is 'Null when it made none; the note says why.';
comment on column engine.occurrence.by is 'Who asked for it, when it was run by hand.';

create table engine.pace (
    limit_key text not null,
    free_at timestamp with time zone not null,
    constraint pace_pkey primary key (limit_key)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, fillfactor = 50);
comment on table engine.pace is 'The state of the rate of each key that has one: nothing is owed from then on.';

create table engine.parked (
    job_id bigint not null,
    lane_id integer not null,
    attempt integer not null,
    waits_for text not null,
    children integer[],
    parked_at timestamp with time zone not null,
    wake_at timestamp with time zone,
    constraint parked_pkey primary key (job_id),
    constraint parked_waits_for_check check (waits_for = any (array['event'::text, 'children'::text, 'child'::text]))
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
create index parked_parents on engine.parked using btree (job_id) where waits_for = any (array['children'::text, 'child'::text]);
create index parked_wake on engine.parked using btree (wake_at) where wake_at is not null;
comment on table engine.parked is 'Workflows that wait for an event or for children.';
comment on column engine.parked.waits_for is 'event; children: that all have ended; child: that one has.';
comment on column engine.parked.children is 'The positions of the steps that made the children it waits for.';

create table engine.pause (
    id bigint generated always as identity,
    scope text not null,
    name text not null,
    starts_at timestamp with time zone not null,
    ends_at timestamp with time zone,
    paused_by text not null,
    reason text,
    resumed_at timestamp with time zone,
    resumed_by text,
    constraint pause_pkey primary key (id),
    constraint pause_check check (ends_at > starts_at),
    constraint pause_name_check check (name <> ''::text and octet_length(name) <= 500),
    constraint pause_scope_check check (scope = any (array['queue'::text, 'kind'::text, 'key'::text]))
);
create index pause_open on engine.pause using btree (scope, name) where resumed_at is null;
comment on table engine.pause is 'What operators hold, and held: one row a pause. Change it with engine.pause_work and engine.resume_work.';
comment on column engine.pause.name is 'A queue, a kind, or a limit key; of keys also all that begin with what stands before a final *.';

create table engine.permit (
    claim_id bigint not null,
    setting_id integer not null,
    jobs integer not null,
    counted boolean default false not null,
    constraint permit_jobs_check check (jobs <> 0)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
create index permit_claim on engine.permit using btree (claim_id);
create index permit_setting on engine.permit using btree (setting_id) include (jobs);
comment on table engine.permit is 'How many jobs of each claim run under the limit of a queue or a kind: the sum of its rows, which are taken away with the claim.';
comment on column engine.permit.counted is 'Whether it was counted for a claim that is older than the limit. Ends of its jobs give none of these back.';

create table engine.progress (
    job_id bigint not null,
    attempt integer not null,
    done bigint not null,
    total bigint,
    note text,
    updated_at timestamp with time zone not null,
    constraint progress_pkey primary key (job_id),
    constraint progress_done_check check (done >= 0),
    constraint progress_total_check check (total >= 0)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, fillfactor = 70);
comment on table engine.progress is 'How far a job is, by its own word. Kept until the job''s partition goes.';

create table engine.queue (
    name text not null,
    paused boolean default false not null,
    depth_limit bigint,
    constraint queue_pkey primary key (name),
    constraint queue_depth_limit_check check (depth_limit > 0)
);
comment on table engine.queue is 'Operators'' settings of a queue. Only queues that need a setting have a row.';
comment on column engine.queue.depth_limit is 'With so many jobs ready, it takes no more: RW020. Null: no limit.';

create table engine.ready (
    lane_id integer not null,
    attempt integer not null,
    "position" bigint not null,
    job_id bigint not null,
    constraint ready_pkey primary key (lane_id, "position")
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 1000000, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, vacuum_truncate = off);
create unique index ready_returned on engine.ready using btree (job_id) where "position" <> job_id;
comment on table engine.ready is 'What may run now.';

create table engine.restart (
    job_id bigint not null,
    restarted_from bigint not null,
    from_step integer not null,
    restarted_at timestamp with time zone not null,
    restarted_by text not null,
    constraint restart_pkey primary key (job_id)
);
comment on table engine.restart is 'Workflows that took over the first steps of another.';

create table engine.retention (
    what text not null,
    kept interval,
    says text not null,
    changed_at timestamp with time zone,
    changed_by text,
    constraint retention_pkey primary key (what),
    constraint retention_kept_check check (kept >= '01:00:00'::interval and kept <= '100 years'::interval),
    constraint retention_what_check check (what = any (array['completed'::text, 'cancelled'::text, 'dead'::text, 'resolved_letters'::text, 'open_letters'::text, 'enqueue_keys'::text, 'dead_workers'::text]))
);
comment on table engine.retention is 'How long what has ended is kept. Live data: an edit decides the next act of the house.';
comment on column engine.retention.kept is 'Counted from its end; null: for ever.';

create table engine.retry_override (
    kind text not null,
    error_category text not null,
    max_attempts integer not null,
    backoff_seconds integer[] not null,
    version integer default 1 not null,
    alert_on_attempt integer,
    escalate_on_attempt integer,
    constraint retry_override_pkey primary key (kind, error_category),
    constraint retry_override_backoff_seconds_check check (cardinality(backoff_seconds) > 0),
    constraint retry_override_max_attempts_check check (max_attempts > 0)
);
create trigger check_retry_policy before insert or update on engine.retry_override for each row execute function engine.check_retry_policy();
create trigger keep_retry_default before delete on engine.retry_override for each row when (old.error_category = 'default'::text) execute function engine.keep_retry_default();
create trigger keep_retry_policy before truncate on engine.retry_override for each statement execute function engine.keep_retry_default();
create trigger note_retry_policy after insert or delete or update on engine.retry_override for each row execute function engine.note_retry_policy();
comment on table engine.retry_override is 'The retry policy of one kind, where it differs from its category''s.';
comment on column engine.retry_override.alert_on_attempt is 'Null: as the category''s.';
comment on column engine.retry_override.escalate_on_attempt is 'Null: as the category''s.';

create table engine.retry_policy_history (
    id bigint generated always as identity,
    category text not null,
    kind text,
    version integer not null,
    what text not null,
    "row" jsonb not null,
    changed_at timestamp with time zone default engine.now() not null,
    changed_by text not null,
    constraint retry_policy_history_pkey primary key (id),
    constraint retry_policy_history_what_check check (what = any (array['found'::text, 'made'::text, 'edited'::text, 'removed'::text]))
);
create unique index retry_policy_history_version on engine.retry_policy_history using btree (category, coalesce(kind, ''::text), version);
comment on table engine.retry_policy_history is 'Every version of every row of the retry policy; written by triggers.';
comment on column engine.retry_policy_history.kind is 'Null: the row of the whole category.';
comment on column engine.retry_policy_history.what is 'Found: as it was when this history began.';
comment on column engine.retry_policy_history."row" is 'The row as it was from then on; of a removed one, as it was before.';

create table engine.schedule (
    name text not null,
    line text not null,
    done_to timestamp with time zone default engine.now() not null,
    buffered timestamp with time zone,
    problem text,
    paused boolean default false not null,
    cron text,
    zone text,
    misfire text,
    overlap text,
    jitter_s integer,
    changed_at timestamp with time zone,
    changed_by text,
    reason text,
    edits integer default 0 not null,
    constraint schedule_pkey primary key (name),
    constraint schedule_cron_check check (length(cron) <= 200),
    constraint schedule_jitter_s_check check (jitter_s >= 0 and jitter_s <= 86400),
    constraint schedule_misfire_check check (misfire ~ '^(skip|latest|all:([1-9][0-9]{0,2}|1000))$'::text),
    constraint schedule_name_check check (name <> ''::text and length(name) <= 200),
    constraint schedule_overlap_check check (overlap = any (array['skip'::text, 'allow'::text, 'buffer'::text]))
) with (fillfactor = 50);
comment on table engine.schedule is 'Each schedule that a program has: how far it has been dealt with, and what operators changed. Null: as the program has it.';
comment on column engine.schedule.line is 'The line and zone that the program has; when they change, occurrences count from that moment on.';
comment on column engine.schedule.done_to is 'Every occurrence up to here was fired, made good or let go.';
comment on column engine.schedule.buffered is 'The occurrence that waits for the end of the last job, when the overlap policy is buffer.';
comment on column engine.schedule.problem is 'Why it cannot fire, when it cannot.';
comment on column engine.schedule.edits is 'Counts the changes by operators.';

create table engine.scheduled (
    run_at timestamp with time zone not null,
    job_id bigint not null,
    lane_id integer not null,
    attempt integer not null,
    alone boolean default false not null,
    keyed boolean,
    constraint scheduled_pkey primary key (run_at, job_id),
    constraint run_at_is_from_the_year_1_to_9999 check (run_at >= '0001-01-01 00:00:00+00'::timestamp with time zone and run_at < '10000-01-01 00:00:00+00'::timestamp with time zone) not valid
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, vacuum_truncate = off);
create index scheduled_alone on engine.scheduled using btree (run_at) where alone;
create unique index scheduled_job on engine.scheduled using btree (job_id);
comment on table engine.scheduled is 'What may run at a time: delayed jobs, retries, snoozes, suspects.';
comment on column engine.scheduled.alone is 'A suspect: workers died with it more than once, so it runs with nothing beside it.';
comment on column engine.scheduled.keyed is 'Whether the job has a limit key. Null: whoever put it here did not say.';

create table engine.slot (
    limit_key text not null,
    n integer not null,
    job_id bigint not null,
    charged boolean default false not null,
    constraint slot_pkey primary key (limit_key, n),
    constraint slot_job_id_key unique (job_id),
    constraint slot_n_check check (n > 0)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, fillfactor = 70, vacuum_truncate = off);
comment on table engine.slot is 'One row a job that stands in ready or runs and has a limit key; also kept until the retry where the limit says in_order.';
comment on column engine.slot.charged is 'Whether its run was counted against the rate of its key; of a suspect, the run that comes next.';

create table engine.step (
    job_id bigint not null,
    "position" integer not null,
    attempt integer not null,
    kind text not null,
    name text not null,
    begun_at timestamp with time zone not null,
    ended_at timestamp with time zone,
    until timestamp with time zone,
    key text,
    event_id bigint,
    result jsonb,
    constraint step_pkey primary key (job_id, "position"),
    constraint step_kind_check check (kind = any (array['step'::text, 'outside'::text, 'value'::text, 'sleep'::text, 'wait'::text, 'emit'::text, 'child'::text, 'join'::text, 'patch'::text, 'undo'::text, 'continue'::text])) not valid,
    constraint step_name_check check (name <> ''::text and length(name) <= 200),
    constraint step_position_check check ("position" > 0),
    constraint step_result_size check (result is null or octet_length(result::text) <= 1048576)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000);
comment on table engine.step is 'What workflows have done, in order: a step that has ended is never done again. Goes with the job.';
comment on column engine.step.attempt is 'The attempt that began it.';
comment on column engine.step.ended_at is 'Null while it waits; a sleep ends at `until`.';
comment on column engine.step.until is 'When a sleep ends, or a wait gives up.';

create table engine.topic (
    name text not null,
    key text not null,
    touched_at timestamp with time zone not null,
    constraint topic_pkey primary key (name, key)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, fillfactor = 50);
comment on table engine.topic is 'Where emit and wait meet: both change this row first, and only then look. It says nothing and may go when idle.';

create table engine.unique_key (
    kind text not null,
    key text not null,
    job_id bigint not null,
    since timestamp with time zone,
    constraint unique_key_pkey primary key (kind, key),
    constraint unique_key_job_id_key unique (job_id)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
comment on table engine.unique_key is 'One live job a key. Only jobs with a key pay.';
comment on column engine.unique_key.since is 'When the first of the jobs that replaced each other was enqueued: what bounds a debounce.';

create table engine.unique_period (
    kind text not null,
    key text not null,
    job_id bigint not null,
    until timestamp with time zone not null,
    constraint unique_period_pkey primary key (kind, key)
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000);
create index unique_period_until on engine.unique_period using btree (until);
comment on table engine.unique_period is 'No second job of the key is made until then, whether this one lives or not.';

create table engine.waiting (
    "position" bigint not null,
    job_id bigint not null,
    lane_id integer not null,
    attempt integer not null,
    limit_key text not null,
    constraint waiting_pkey primary key ("position")
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 1000000, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, vacuum_truncate = off);
create unique index waiting_returned on engine.waiting using btree (job_id) where "position" <> job_id;
create unique index waiting_turn on engine.waiting using btree (limit_key, "position");
comment on table engine.waiting is 'What may run as soon as its key has a free slot, in the order of position.';

create table engine.watch (
    id smallint default 1 not null,
    seen_at timestamp with time zone not null,
    silent_from timestamp with time zone[] default '{}'::timestamp with time zone[] not null,
    silent_until timestamp with time zone[] default '{}'::timestamp with time zone[] not null,
    stepped_at timestamp with time zone,
    constraint watch_pkey primary key (id),
    constraint watch_id_check check (id = 1),
    constraint watch_seen_at_check check (isfinite(seen_at))
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200, fillfactor = 50);
comment on table engine.watch is 'When a worker last looked at the leases of all, and the silences of late: in them no worker looked, began or renewed, and perhaps none could.';
comment on column engine.watch.silent_from is 'When each silence began, and silent_until when it ended; those that no lease has to do with any more are gone.';
comment on column engine.watch.stepped_at is 'When the clock was found set back, while a lease of before is left.';

create table engine.worker (
    id bigint generated always as identity,
    lease_until timestamp with time zone not null,
    started_at timestamp with time zone default engine.now() not null,
    dead_at timestamp with time zone,
    name text not null,
    info jsonb default '{}'::jsonb not null,
    constraint worker_pkey primary key (id),
    constraint lease_until_is_from_the_year_1_to_9999 check (lease_until >= '0001-01-01 00:00:00+00'::timestamp with time zone and lease_until < '10000-01-01 00:00:00+00'::timestamp with time zone) not valid
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200, fillfactor = 50);
comment on table engine.worker is 'One row a worker process: its lease. dead_at is the verdict; until it is set the worker may renew.';

create table raw_ops.ad_accounts (
    id bigint generated by default as identity,
    platform text not null,
    account_id text not null,
    account_name text,
    is_active boolean default true,
    api_credentials_ref text,
    last_sync_at timestamp with time zone,
    last_sync_status text,
    created_at timestamp with time zone default now(),
    constraint ad_accounts_pkey primary key (id),
    constraint ad_accounts_platform_account_id_key unique (platform, account_id)
);
comment on table raw_ops.ad_accounts is 'Advertising platform account connections';
comment on column raw_ops.ad_accounts.api_credentials_ref is 'The name of the secret in the environment, never the secret.';

create table raw_ops.ad_campaigns (
    id bigint generated by default as identity,
    platform text not null,
    account_id text not null,
    account_name text,
    campaign_id text not null,
    campaign_name text not null,
    adset_id text,
    adset_name text,
    date date not null,
    spend_local numeric(12,2),
    currency_code text default 'GBP'::text,
    spend_gbp numeric(12,2) not null,
    impressions integer default 0,
    clicks integer default 0,
    conversions integer default 0,
    attribution_window text default '7d_click_1d_view'::text,
    imported_at timestamp with time zone default now(),
    updated_at timestamp with time zone default now(),
    constraint ad_campaigns_pkey primary key (id),
    constraint ad_campaigns_platform_account_id_campaign_id_date_key unique (platform, account_id, campaign_id, date),
    constraint ad_campaigns_currency_code_check check (currency_code ~ '^[A-Z]{3}$'::text)
);
create index idx_ad_campaigns_date on raw_ops.ad_campaigns using btree (date desc);
create index idx_ad_campaigns_platform on raw_ops.ad_campaigns using btree (platform, date desc);
comment on table raw_ops.ad_campaigns is 'Ad campaign performance data';
comment on column raw_ops.ad_campaigns.spend_gbp is 'spend_local at the rate of the day in currency_rates.';

create table raw_ops.address_changes (
    id uuid default gen_random_uuid() not null,
    created_at timestamp with time zone default now(),
    customer_id uuid not null,
    changed_by text not null,
    agent_email text,
    old_address jsonb not null,
    new_address jsonb not null,
    support_ticket_id uuid,
    source text not null,
    shopify_synced boolean default false,
    shopify_synced_at timestamp with time zone,
    seal_synced boolean default false,
    seal_synced_at timestamp with time zone,
    reason text,
    number bigint generated always as identity,
    shopify_state text default 'pending'::text not null,
    shopify_error text,
    shopify_begun_at timestamp with time zone,
    seal_state text default 'pending'::text not null,
    seal_error text,
    seal_begun_at timestamp with time zone,
    constraint address_changes_pkey primary key (id),
    constraint address_changes_seal_state_check check (seal_state = any (array['pending'::text, 'telling'::text, 'synced'::text, 'superseded'::text, 'not_needed'::text, 'failed'::text])),
    constraint address_changes_shopify_state_check check (shopify_state = any (array['pending'::text, 'telling'::text, 'synced'::text, 'superseded'::text, 'not_needed'::text, 'failed'::text])),
    constraint address_changes_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id),
    constraint address_changes_support_ticket_id_fkey foreign key (support_ticket_id) references raw_ops.support_tickets(id)
);
create index address_changes_open on raw_ops.address_changes using btree (number) where (shopify_state = any (array['pending'::text, 'telling'::text])) or (seal_state = any (array['pending'::text, 'telling'::text]));
create index address_changes_untold on raw_ops.address_changes using btree (customer_id) where shopify_state = any (array['pending'::text, 'telling'::text, 'failed'::text]);
create index idx_address_changes_created on raw_ops.address_changes using btree (created_at desc);
create index idx_address_changes_customer on raw_ops.address_changes using btree (customer_id);
create trigger trg_enqueue_sync_to_seal after update of seal_state on raw_ops.address_changes for each row when (new.seal_state = 'pending'::text) execute function raw_ops.enqueue_row('addresses.sync_to_seal', 'addresses', 'change_id', 'id');
create trigger trg_enqueue_sync_to_seal_new after insert on raw_ops.address_changes referencing new table as new_rows for each statement execute function raw_ops.enqueue_row('addresses.sync_to_seal', 'addresses', 'change_id', 'id', '', '', 'seal_state = ''pending''');
create trigger trg_enqueue_sync_to_shopify after update of shopify_state on raw_ops.address_changes for each row when (new.shopify_state = 'pending'::text) execute function raw_ops.enqueue_row('addresses.sync_to_shopify', 'addresses', 'change_id', 'id');
create trigger trg_enqueue_sync_to_shopify_new after insert on raw_ops.address_changes referencing new table as new_rows for each statement execute function raw_ops.enqueue_row('addresses.sync_to_shopify', 'addresses', 'change_id', 'id', '', '', 'shopify_state = ''pending''');
comment on table raw_ops.address_changes is 'Track address updates for sync';
comment on column raw_ops.address_changes.shopify_synced is 'Both systems are told by jobs that start with the row; the flags say what is done.';
comment on column raw_ops.address_changes.number is 'The order in which changes were made.';
comment on column raw_ops.address_changes.shopify_state is 'telling: a job is at it. not_needed: there is nothing to tell.';

create table raw_ops.agent_decisions (
    id uuid default gen_random_uuid() not null,
    created_at timestamp with time zone default now(),
    execution_id uuid not null,
    ticket_id uuid,
    decision_type text not null,
    decision_rationale text,
    confidence_score numeric,
    escalation_reason text,
    agent_recommendation text,
    human_reviewed_at timestamp with time zone,
    human_reviewer text,
    human_agreed boolean,
    human_feedback text,
    constraint agent_decisions_pkey primary key (id),
    constraint agent_decisions_execution_id_unique unique (execution_id),
    constraint agent_decisions_execution_id_fkey foreign key (execution_id) references raw_ops.agent_executions(id),
    constraint agent_decisions_ticket_id_fkey foreign key (ticket_id) references raw_ops.support_tickets(id)
);
create index idx_agent_decisions_confidence on raw_ops.agent_decisions using btree (confidence_score);
create index idx_agent_decisions_reviewed on raw_ops.agent_decisions using btree (human_reviewed_at) where human_reviewed_at is not null;
create index idx_agent_decisions_type on raw_ops.agent_decisions using btree (decision_type);
comment on table raw_ops.agent_decisions is 'AI agent decision records';

create table raw_ops.agent_executions (
    id uuid default gen_random_uuid() not null,
    created_at timestamp with time zone default now(),
    ticket_id uuid,
    trigger_source text not null,
    model_used text default 'claude-sonnet-4-20250514'::text,
    started_at timestamp with time zone not null,
    completed_at timestamp with time zone,
    duration_ms integer,
    input_tokens integer,
    output_tokens integer,
    total_tokens integer,
    outcome text,
    confidence_score numeric,
    tools_used text[],
    safety_filter_triggered boolean default false,
    safety_filter_violations text[],
    error_message text,
    error_type text,
    dedupe_key text,
    constraint agent_executions_pkey primary key (id),
    constraint agent_executions_dedupe_key_key unique (dedupe_key),
    constraint agent_executions_outcome_check check (outcome = lower(outcome)),
    constraint agent_executions_ticket_id_fkey foreign key (ticket_id) references raw_ops.support_tickets(id)
);
create index idx_agent_executions_created on raw_ops.agent_executions using btree (created_at desc);
create index idx_agent_executions_dedupe_key on raw_ops.agent_executions using btree (dedupe_key) where dedupe_key is not null;
create index idx_agent_executions_escalated_recent on raw_ops.agent_executions using btree (created_at desc) where outcome = 'escalated'::text;
create index idx_agent_executions_outcome on raw_ops.agent_executions using btree (outcome);
create index idx_agent_executions_safety on raw_ops.agent_executions using btree (safety_filter_triggered) where safety_filter_triggered;
create index idx_agent_executions_ticket on raw_ops.agent_executions using btree (ticket_id);
comment on table raw_ops.agent_executions is 'AI agent execution runs';
comment on column raw_ops.agent_executions.model_used is 'The code names the model that the settings give; the default is the registry''s and out of service.';

create table raw_ops.agent_tool_calls (
    id uuid default gen_random_uuid() not null,
    created_at timestamp with time zone default now(),
    execution_id uuid not null,
    tool_name text not null,
    tool_input jsonb not null,
    tool_output jsonb,
    started_at timestamp with time zone not null,
    completed_at timestamp with time zone,
    duration_ms integer,
    success boolean,
    error_message text,
    constraint agent_tool_calls_pkey primary key (id),
    constraint agent_tool_calls_execution_id_fkey foreign key (execution_id) references raw_ops.agent_executions(id)
);
create index idx_agent_tool_calls_created on raw_ops.agent_tool_calls using btree (created_at desc);
create index idx_agent_tool_calls_execution on raw_ops.agent_tool_calls using btree (execution_id);
create index idx_agent_tool_calls_tool on raw_ops.agent_tool_calls using btree (tool_name);
comment on table raw_ops.agent_tool_calls is 'AI agent tool call audit log';

create table raw_ops.agents (
    id uuid default gen_random_uuid() not null,
    name text not null,
    email text not null,
    role text default 'agent'::text not null,
    is_active boolean default true not null,
    created_at timestamp with time zone default now() not null,
    constraint agents_pkey primary key (id),
    constraint agents_email_key unique (email)
);
create index idx_agents_active on raw_ops.agents using btree (is_active) where is_active;
comment on table raw_ops.agents is 'Registered AI agent definitions';

create table raw_ops.ai_knowledge_sections (
    id uuid default gen_random_uuid() not null,
    section_key text not null,
    version integer default 1 not null,
    title text not null,
    content text not null,
    is_active boolean default false not null,
    created_at timestamp with time zone default now() not null,
    created_by text default 'system'::text,
    notes text,
    embedding_model text,
    embedding raw_ops.vector,
    constraint ai_knowledge_sections_pkey primary key (id),
    constraint unique_section_version unique (section_key, version),
    constraint ai_knowledge_sections_embedding_has_model check (embedding is null or embedding_model is not null)
);
create unique index idx_ai_knowledge_active on raw_ops.ai_knowledge_sections using btree (section_key) where is_active;
create index idx_kb_sections_embedding on raw_ops.ai_knowledge_sections using hash (embedding);
comment on table raw_ops.ai_knowledge_sections is 'Knowledge base sections for AI agent';
comment on column raw_ops.ai_knowledge_sections.is_active is 'At most one version a section.';
comment on column raw_ops.ai_knowledge_sections.embedding_model is 'Vectors of different models are never compared.';
comment on column raw_ops.ai_knowledge_sections.embedding is 'What the section is about, for search by cosine distance.';

create table raw_ops.ai_prompt_logs (
    id uuid default gen_random_uuid() not null,
    channel text not null,
    assembled_at timestamp with time zone default now() not null,
    section_versions jsonb not null,
    prompt_hash text not null,
    token_estimate integer,
    constraint ai_prompt_logs_pkey primary key (id)
);
create index idx_ai_logs_recent on raw_ops.ai_prompt_logs using btree (channel, assembled_at desc);
comment on table raw_ops.ai_prompt_logs is 'Log of AI prompt executions';

create table raw_ops.ai_prompt_templates (
    id uuid default gen_random_uuid() not null,
    channel text not null,
    section_key text not null,
    section_order integer not null,
    is_included boolean default true not null,
    wrapper_prefix text,
    wrapper_suffix text,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    constraint ai_prompt_templates_pkey primary key (id),
    constraint unique_channel_section unique (channel, section_key)
);
create index idx_ai_templates_channel on raw_ops.ai_prompt_templates using btree (channel, section_order) where is_included;
comment on table raw_ops.ai_prompt_templates is 'Reusable AI prompt templates';

create table raw_ops.alert_log (
    id uuid default gen_random_uuid() not null,
    sent_at timestamp with time zone default now() not null,
    channel text not null,
    severity text not null,
    title text not null,
    source_check text,
    monitoring_run_id uuid,
    payload_json jsonb not null,
    delivery_status text default 'pending'::text,
    delivery_response text,
    retry_count integer default 0,
    idempotency_key text,
    repeats integer default 1 not null,
    is_recovery boolean default false not null,
    constraint alert_log_pkey primary key (id),
    constraint alert_log_channel_check check (channel = any (array['ops-alerts'::text, 'ops-urgent'::text, 'daily-ops'::text])),
    constraint alert_log_delivery_status_check check (delivery_status = any (array['pending'::text, 'sent'::text, 'failed'::text, 'suppressed'::text])),
    constraint alert_log_repeats_check check (repeats > 0),
    constraint alert_log_severity_check check (severity = any (array['info'::text, 'warning'::text, 'critical'::text])),
    constraint alert_log_monitoring_run_id_fkey foreign key (monitoring_run_id) references raw_ops.monitoring_runs(id)
);
create index alert_log_suppressed on raw_ops.alert_log using btree (sent_at) where delivery_status = 'suppressed'::text and idempotency_key is not null;
create index idx_alert_log_channel_sent on raw_ops.alert_log using btree (channel, sent_at desc);
create index idx_alert_log_failed on raw_ops.alert_log using btree (delivery_status, sent_at desc) where delivery_status = 'failed'::text;
create index idx_alert_log_idempotency on raw_ops.alert_log using btree (idempotency_key, sent_at desc) where idempotency_key is not null;
create trigger trg_enqueue_post_alert after update of delivery_status on raw_ops.alert_log for each row when (new.delivery_status = 'pending'::text) execute function raw_ops.enqueue_row('alerts.post_alert', 'alerts', 'alert_id', 'id');
create trigger trg_enqueue_post_alert_new after insert on raw_ops.alert_log referencing new table as new_rows for each statement execute function raw_ops.enqueue_row('alerts.post_alert', 'alerts', 'alert_id', 'id', '', '', 'delivery_status = ''pending''');
comment on table raw_ops.alert_log is 'Alert delivery log';
comment on column raw_ops.alert_log.idempotency_key is 'Not unique: an alert is sent again once its cool-down window is over.';
comment on column raw_ops.alert_log.repeats is 'How often it was raised, as far as this row tells of it.';
comment on column raw_ops.alert_log.is_recovery is 'What the alert before it with this key told of is over.';

create table raw_ops.allocation_alert_config (
    id uuid default gen_random_uuid() not null,
    alert_type text not null,
    threshold_value numeric not null,
    enabled boolean default true,
    description text,
    created_at timestamp with time zone default now(),
    updated_at timestamp with time zone default now(),
    constraint allocation_alert_config_pkey primary key (id),
    constraint allocation_alert_config_alert_type_key unique (alert_type)
);
comment on table raw_ops.allocation_alert_config is 'Alert thresholds for allocation monitoring';

create table raw_ops.allocation_alert_history (
    id uuid default gen_random_uuid() not null,
    alert_type text not null,
    severity text not null,
    message text not null,
    details jsonb,
    resolved_at timestamp with time zone,
    created_at timestamp with time zone default now(),
    constraint allocation_alert_history_pkey primary key (id),
    constraint allocation_alert_history_severity_check check (severity = any (array['info'::text, 'warning'::text, 'critical'::text]))
);
create unique index allocation_alert_open on raw_ops.allocation_alert_history using btree (alert_type) where resolved_at is null;
create index idx_alert_history_created on raw_ops.allocation_alert_history using btree (created_at desc);
create index idx_alert_history_unresolved on raw_ops.allocation_alert_history using btree (alert_type, created_at desc) where resolved_at is null;
comment on table raw_ops.allocation_alert_history is 'History of allocation alerts triggered';

create table raw_ops.allocation_queue (
    id uuid default gen_random_uuid() not null,
    order_id uuid not null,
    order_item_id uuid,
    priority integer default 100,
    state text default 'pending'::text not null,
    attempts integer default 0,
    max_attempts integer default 5,
    last_error text,
    created_at timestamp with time zone default now() not null,
    started_at timestamp with time zone,
    completed_at timestamp with time zone,
    constraint allocation_queue_pkey primary key (id),
    constraint allocation_queue_state_check check (state = any (array['pending'::text, 'processing'::text, 'completed'::text, 'failed'::text, 'cancelled'::text])),
    constraint allocation_queue_order_id_fkey foreign key (order_id) references raw_ops.orders(id),
    constraint allocation_queue_order_item_id_fkey foreign key (order_item_id) references raw_ops.order_items(id) on delete cascade
);
create index idx_allocation_queue_item on raw_ops.allocation_queue using btree (order_item_id) where order_item_id is not null;
create index idx_allocation_queue_order on raw_ops.allocation_queue using btree (order_id);
create index idx_allocation_queue_pending on raw_ops.allocation_queue using btree (priority, created_at) where state = 'pending'::text;
create index idx_allocation_queue_state on raw_ops.allocation_queue using btree (state, created_at);
create trigger trg_enqueue_allocate_order after update of state on raw_ops.allocation_queue for each row when (new.state = 'pending'::text) execute function raw_ops.enqueue_row('allocation.allocate_order', 'allocation', 'order_id', 'order_id');
create trigger trg_enqueue_allocate_order_new after insert on raw_ops.allocation_queue referencing new table as new_rows for each statement execute function raw_ops.enqueue_row('allocation.allocate_order', 'allocation', 'order_id', 'order_id', '', '', 'state = ''pending''');
comment on table raw_ops.allocation_queue is 'Pending allocation requests';
comment on column raw_ops.allocation_queue.order_item_id is 'Null when the request is for the whole order.';

create table raw_ops.allocations (
    id uuid default raw_ops.uuid_generate_v4() not null,
    order_item_id uuid not null,
    batch_id uuid not null,
    qty_allocated numeric not null,
    created_at timestamp with time zone default now() not null,
    is_partial boolean default false,
    allocation_group_id uuid,
    remaining_qty integer default 0,
    constraint allocations_pkey primary key (id),
    constraint allocations_qty_allocated_check check (qty_allocated > 0::numeric),
    constraint allocations_batch_id_fkey foreign key (batch_id) references raw_ops.batches(id),
    constraint allocations_order_item_id_fkey foreign key (order_item_id) references raw_ops.order_items(id)
);
create index idx_allocations_batch on raw_ops.allocations using btree (batch_id);
create index idx_allocations_batch_lookup on raw_ops.allocations using btree (order_item_id, batch_id);
create index idx_allocations_batch_tracking on raw_ops.allocations using btree (batch_id, qty_allocated);
create index idx_allocations_group on raw_ops.allocations using btree (allocation_group_id) where allocation_group_id is not null;
create index idx_allocations_item_lookup on raw_ops.allocations using btree (order_item_id);
comment on table raw_ops.allocations is 'Links order items to batches (FEFO)';
comment on column raw_ops.allocations.qty_allocated is 'Units of the batch that this line takes.';
comment on column raw_ops.allocations.allocation_group_id is 'Shared by the allocations of one run for one order.';
comment on column raw_ops.allocations.remaining_qty is 'Units of the line that were still without stock after this allocation.';

create table raw_ops.allowed_delivery_areas (
    id bigint generated by default as identity,
    postcode_prefix text not null,
    area_name text not null,
    phase text not null,
    enabled_from_date date,
    typical_transit_hours integer default 48 not null,
    is_active boolean default true,
    notes text,
    created_at timestamp with time zone default now(),
    updated_at timestamp with time zone default now(),
    constraint allowed_delivery_areas_pkey primary key (id),
    constraint allowed_delivery_areas_postcode_prefix_check check (postcode_prefix = upper(btrim(postcode_prefix)))
);
create index idx_allowed_delivery_areas_active on raw_ops.allowed_delivery_areas using btree (is_active) where is_active;
create index idx_allowed_delivery_areas_prefix on raw_ops.allowed_delivery_areas using btree (postcode_prefix);
comment on table raw_ops.allowed_delivery_areas is 'Delivery coverage area definitions';
comment on column raw_ops.allowed_delivery_areas.postcode_prefix is 'Upper case. Matched by outward code, the longest first: PO1 is not PO10.';

create table raw_ops.api_tokens (
    id bigint generated always as identity,
    name text not null,
    hash bytea not null,
    scopes text[] not null,
    created_at timestamp with time zone default now() not null,
    created_by text not null,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    last_used_at timestamp with time zone,
    constraint api_tokens_pkey primary key (id),
    constraint api_tokens_hash_key unique (hash),
    constraint api_tokens_hash_check check (octet_length(hash) = 32),
    constraint api_tokens_name_check check (name <> ''::text),
    constraint api_tokens_scopes_check check (cardinality(scopes) > 0 and scopes <@ array['jobs:read'::text, 'jobs:write'::text, 'events:write'::text, 'functions'::text, 'operate'::text])
);
create unique index api_tokens_name on raw_ops.api_tokens using btree (name) where revoked_at is null;
comment on table raw_ops.api_tokens is 'Tokens of callers over HTTP: what each may do, until when; the token itself is not kept.';

create table raw_ops.batch_status_history (
    id uuid default gen_random_uuid() not null,
    batch_id uuid not null,
    old_status text,
    new_status text not null,
    triggered_by text,
    lab_result_id uuid,
    created_at timestamp with time zone default now(),
    constraint batch_status_history_pkey primary key (id),
    constraint batch_status_history_batch_id_fkey foreign key (batch_id) references raw_ops.batches(id),
    constraint batch_status_history_lab_result_id_fkey foreign key (lab_result_id) references raw_ops.lab_results(id)
);
create index idx_batch_status_history_batch_id on raw_ops.batch_status_history using btree (batch_id);
create index idx_batch_status_history_created_at on raw_ops.batch_status_history using btree (created_at desc);
comment on table raw_ops.batch_status_history is 'Audit trail of batch status changes';
comment on column raw_ops.batch_status_history.triggered_by is 'The person or the job that changed the status.';

create table raw_ops.batches (
    id uuid default gen_random_uuid() not null,
    batch_code text not null,
    product_id uuid,
    produced_at date not null,
    status raw_ops.batch_status default 'QA_HOLD'::raw_ops.batch_status not null,
    notes text,
    created_at timestamp with time zone default now() not null,
    kg_produced numeric,
    total_cost_gbp numeric(12,2),
    cogs_per_kg_gbp numeric(12,4),
    proof_url text,
    production_date date,
    expiry_date date,
    storage_temp_min numeric,
    storage_temp_max numeric,
    packaging_type character varying(50),
    qty_on_hand numeric default 0,
    qty_reserved numeric default 0,
    qr_image_url text,
    proof_insert_pdf_url text,
    proof_published_at timestamp with time zone,
    inserts_printed_at timestamp with time zone,
    inserts_shipped_to_3pl_at timestamp with time zone,
    proof_insert_generated_at timestamp with time zone,
    qa_hold_started_at timestamp with time zone,
    released_at timestamp with time zone,
    formulation_id uuid,
    label_pdf_url text,
    qty_soft_reserved integer default 0,
    last_reservation_at timestamp with time zone,
    public_batch_id text,
    constraint batches_pkey primary key (id),
    constraint batches_batch_code_key unique (batch_code),
    constraint batches_public_batch_id_key unique (public_batch_id),
    constraint batches_kg_produced_check check (kg_produced >= 0::numeric),
    constraint batches_never_oversold check (qty_reserved <= qty_on_hand),
    constraint batches_production_date_agrees check (production_date = produced_at),
    constraint batches_qty_on_hand_check check (qty_on_hand >= 0::numeric),
    constraint batches_qty_reserved_check check (qty_reserved >= 0::numeric),
    constraint batches_qty_soft_reserved_check check (qty_soft_reserved >= 0),
    constraint batches_formulation_id_fkey foreign key (formulation_id) references raw_ops.formulations(id),
    constraint batches_product_id_fkey foreign key (product_id) references raw_ops.products(id)
);
create index batches_status_idx on raw_ops.batches using btree (status);
create index idx_batches_availability on raw_ops.batches using btree (product_id, status, qty_on_hand, qty_reserved) where status = 'RELEASED'::raw_ops.batch_status;
create index idx_batches_batch_code_released on raw_ops.batches using btree (batch_code) where status = 'RELEASED'::raw_ops.batch_status;
create index idx_batches_fefo on raw_ops.batches using btree (expiry_date, status) where status = 'RELEASED'::raw_ops.batch_status;
create index idx_batches_fefo_lookup on raw_ops.batches using btree (product_id, expiry_date, produced_at) where status = 'RELEASED'::raw_ops.batch_status;
create index idx_batches_formulation_id on raw_ops.batches using btree (formulation_id);
create index idx_batches_proof_insert_pdf_url on raw_ops.batches using btree (proof_insert_pdf_url);
create index idx_batches_proof_insert_workflow on raw_ops.batches using btree (status, proof_url, proof_insert_pdf_url) where status = 'RELEASED'::raw_ops.batch_status;
create index idx_batches_qa_hold on raw_ops.batches using btree (id) where status = 'QA_HOLD'::raw_ops.batch_status;
create index idx_batches_released_available on raw_ops.batches using btree (status) where status = 'RELEASED'::raw_ops.batch_status;
create index idx_batches_status_released on raw_ops.batches using btree (status, proof_published_at) where status = 'RELEASED'::raw_ops.batch_status;
create trigger trg_allocate_pending_on_release after update of status on raw_ops.batches for each row when (new.status = 'RELEASED'::raw_ops.batch_status and old.status <> 'RELEASED'::raw_ops.batch_status and new.product_id is not null) execute function raw_ops.allocate_pending_orders();
create trigger trigger_set_public_batch_id before insert on raw_ops.batches for each row when (new.public_batch_id is null) execute function raw_ops.set_public_batch_id();
comment on table raw_ops.batches is 'Production batches with QA status';
comment on column raw_ops.batches.batch_code is 'PR-YYMMDD-NNN, counted within the day of production.';
comment on column raw_ops.batches.produced_at is 'Canonical; production_date is filled equal.';
comment on column raw_ops.batches.cogs_per_kg_gbp is 'Pounds per kg: a rate, kept to a hundredth of a penny.';
comment on column raw_ops.batches.proof_url is 'The page exists from the start and says "in testing" until the batch is released.';
comment on column raw_ops.batches.storage_temp_min is 'Degrees Celsius.';
comment on column raw_ops.batches.qty_on_hand is 'Units, not kg: the truth about stock. inventory and inventory_on_hand are derived from it.';
comment on column raw_ops.batches.qty_reserved is 'Units promised to paid orders by allocations.';
comment on column raw_ops.batches.qty_soft_reserved is 'Units held for a while without an allocation.';
comment on column raw_ops.batches.public_batch_id is 'Names the batch in public. An HMAC under a key of the server, so that it cannot be guessed from batch_code.';

create table raw_ops.billing_attempts (
    id uuid default gen_random_uuid() not null,
    subscription_id uuid,
    seal_subscription_id text not null,
    seal_billing_attempt_id text not null,
    customer_id uuid,
    scheduled_at timestamp with time zone not null,
    attempted_at timestamp with time zone,
    completed_at timestamp with time zone,
    status text default 'scheduled'::text not null,
    shopify_order_id text,
    order_id uuid,
    error_code text,
    error_message text,
    retry_count integer default 0,
    requires_authentication boolean default false,
    authentication_url text,
    amount_pence integer,
    currency text default 'GBP'::text,
    is_retry boolean default false,
    original_attempt_id uuid,
    triggered_manually boolean default false,
    seal_payload jsonb,
    created_at timestamp with time zone default now(),
    updated_at timestamp with time zone default now(),
    constraint billing_attempts_pkey primary key (id),
    constraint billing_attempts_seal_billing_attempt_id_key unique (seal_billing_attempt_id),
    constraint billing_attempts_currency_check check (currency ~ '^[A-Z]{3}$'::text),
    constraint billing_attempts_status_check check (status = any (array['scheduled'::text, 'processing'::text, 'success'::text, 'failed'::text, 'skipped'::text, 'cancelled'::text])),
    constraint billing_attempts_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id),
    constraint billing_attempts_order_id_fkey foreign key (order_id) references raw_ops.orders(id),
    constraint billing_attempts_original_attempt_id_fkey foreign key (original_attempt_id) references raw_ops.billing_attempts(id),
    constraint billing_attempts_subscription_id_fkey foreign key (subscription_id) references raw_ops.subscriptions(id)
);
create index idx_billing_attempts_customer_id on raw_ops.billing_attempts using btree (customer_id);
create index idx_billing_attempts_customer_recent on raw_ops.billing_attempts using btree (customer_id, attempted_at desc);
create index idx_billing_attempts_failed on raw_ops.billing_attempts using btree (subscription_id, status) where status = 'failed'::text;
create index idx_billing_attempts_scheduled on raw_ops.billing_attempts using btree (scheduled_at);
create index idx_billing_attempts_seal_sub on raw_ops.billing_attempts using btree (seal_subscription_id);
create index idx_billing_attempts_status on raw_ops.billing_attempts using btree (status);
create index idx_billing_attempts_sub on raw_ops.billing_attempts using btree (subscription_id);
comment on table raw_ops.billing_attempts is 'Payment billing attempt records';
comment on column raw_ops.billing_attempts.seal_billing_attempt_id is 'The same over all tries; retry_count grows and subscription_events keeps each try.';

create table raw_ops.calculator_discount_usage (
    id uuid default gen_random_uuid() not null,
    email text not null,
    address_line_1 text not null,
    token_id uuid,
    used_at timestamp with time zone default now() not null,
    constraint calculator_discount_usage_pkey primary key (id),
    constraint calculator_discount_usage_email_address_line_1_key unique (email, address_line_1),
    constraint calculator_discount_usage_address_normalised check (address_line_1 = lower(regexp_replace(btrim(address_line_1), '\s+'::text, ' '::text, 'g'::text))),
    constraint calculator_discount_usage_email_check check (email = lower(btrim(email))),
    constraint calculator_discount_usage_token_id_fkey foreign key (token_id) references raw_ops.calculator_tokens(id)
);
comment on table raw_ops.calculator_discount_usage is 'Calculator discount usage tracking';
comment on column raw_ops.calculator_discount_usage.address_line_1 is 'Lower case, single spaces: one discount a mail address and household.';

create table raw_ops.calculator_discounts (
    id uuid default gen_random_uuid() not null,
    token text not null,
    box_size text not null,
    daily_grams integer not null,
    delivery_weeks integer not null,
    regular_price integer not null,
    discounted_price integer not null,
    used boolean default false,
    used_at timestamp with time zone,
    email text,
    address_line_1 text,
    discount_code text,
    fraud_flag boolean default false,
    fraud_reason text,
    created_at timestamp with time zone default now(),
    expires_at timestamp with time zone default now() + '72:00:00'::interval,
    postcode text,
    address text,
    pet_count integer default 1,
    household_total_gbp integer,
    household_daily_grams integer,
    dog_name text,
    abandonment_sent_at timestamp with time zone,
    calculated_mer integer,
    previous_diet text,
    constraint calculator_discounts_pkey primary key (id),
    constraint calculator_discounts_token_key unique (token)
);
create index idx_calculator_discounts_abandonment_queue on raw_ops.calculator_discounts using btree (created_at) where not used and abandonment_sent_at is null and email is not null and discount_code is not null;
create index idx_calculator_discounts_address on raw_ops.calculator_discounts using btree (address_line_1);
create index idx_calculator_discounts_email on raw_ops.calculator_discounts using btree (email);
create index idx_calculator_discounts_expires on raw_ops.calculator_discounts using btree (expires_at);
create index idx_calculator_discounts_postcode on raw_ops.calculator_discounts using btree (postcode);
create index idx_calculator_discounts_used on raw_ops.calculator_discounts using btree (used);
comment on table raw_ops.calculator_discounts is 'Calculator discount definitions';
comment on column raw_ops.calculator_discounts.regular_price is 'Pence.';
comment on column raw_ops.calculator_discounts.discounted_price is 'Pence.';
comment on column raw_ops.calculator_discounts.household_total_gbp is 'Whole pounds.';
comment on column raw_ops.calculator_discounts.calculated_mer is 'Kilocalories a day.';

create table raw_ops.calculator_pets (
    id uuid default gen_random_uuid() not null,
    discount_id uuid not null,
    pet_number integer not null,
    pet_name text,
    life_stage text not null,
    weight_kg numeric not null,
    age_range text,
    neutered boolean,
    activity_level text not null,
    body_condition text,
    calculated_rer numeric not null,
    calculated_mer numeric not null,
    daily_grams integer not null,
    monthly_price_gbp integer not null,
    created_at timestamp with time zone default now(),
    constraint calculator_pets_pkey primary key (id),
    constraint unique_pet_per_discount unique (discount_id, pet_number),
    constraint calculator_pets_weight_kg_check check (weight_kg >= 0.5 and weight_kg <= 100::numeric),
    constraint calculator_pets_discount_id_fkey foreign key (discount_id) references raw_ops.calculator_discounts(id) on delete cascade
);
create index idx_calculator_pets_discount on raw_ops.calculator_pets using btree (discount_id);
comment on table raw_ops.calculator_pets is 'Pet profiles from calculator';
comment on column raw_ops.calculator_pets.calculated_rer is 'Kilocalories a day at rest.';
comment on column raw_ops.calculator_pets.calculated_mer is 'Kilocalories a day.';
comment on column raw_ops.calculator_pets.daily_grams is 'Grams of food a day.';
comment on column raw_ops.calculator_pets.monthly_price_gbp is 'Whole pounds.';

create table raw_ops.calculator_tokens (
    id uuid default gen_random_uuid() not null,
    token uuid default gen_random_uuid() not null,
    box_size text not null,
    daily_grams integer not null,
    delivery_weeks integer not null,
    status text default 'pending'::text not null,
    email text,
    address_line_1 text,
    shopify_discount_code text,
    shopify_price_rule_id text,
    created_at timestamp with time zone default now() not null,
    validated_at timestamp with time zone,
    used_at timestamp with time zone,
    expires_at timestamp with time zone default now() + '30 days'::interval not null,
    user_agent text,
    ip_address inet,
    constraint calculator_tokens_pkey primary key (id),
    constraint calculator_tokens_token_key unique (token),
    constraint calculator_tokens_status_check check (status = any (array['pending'::text, 'validated'::text, 'used'::text, 'expired'::text]))
);
create index idx_calculator_tokens_status on raw_ops.calculator_tokens using btree (status, created_at) where status = any (array['pending'::text, 'validated'::text]);
create index idx_calculator_tokens_token on raw_ops.calculator_tokens using btree (token) where status <> 'used'::text;
comment on table raw_ops.calculator_tokens is 'Calculator session tokens';
comment on column raw_ops.calculator_tokens.expires_at is 'Read only table: new calculations are calculator_discounts.';

create table raw_ops.chat_messages (
    id uuid default gen_random_uuid() not null,
    session_id uuid not null,
    role text not null,
    content text not null,
    ai_confidence numeric,
    ai_model text,
    tokens_used integer,
    response_time_ms integer,
    escalation_trigger boolean default false,
    edited boolean default false,
    created_at timestamp with time zone default now(),
    user_rating text,
    user_rating_at timestamp with time zone,
    user_rating_feedback text,
    constraint chat_messages_pkey primary key (id),
    constraint chat_messages_session_id_fkey foreign key (session_id) references raw_ops.chat_sessions(id) on delete cascade
);
create index idx_chat_messages_rated on raw_ops.chat_messages using btree (user_rating, created_at) where user_rating is not null;
create index idx_chat_messages_session on raw_ops.chat_messages using btree (session_id, created_at);
comment on table raw_ops.chat_messages is 'Live chat message history';

create table raw_ops.chat_sessions (
    id uuid default gen_random_uuid() not null,
    visitor_id text not null,
    visitor_email text,
    customer_id uuid,
    started_at timestamp with time zone default now(),
    last_message_at timestamp with time zone default now(),
    ended_at timestamp with time zone,
    entry_page text,
    referrer text,
    device_type text,
    status text default 'active'::text,
    escalated_at timestamp with time zone,
    escalated_reason text,
    support_ticket_id uuid,
    message_count integer default 0,
    ai_message_count integer default 0,
    created_at timestamp with time zone default now(),
    updated_at timestamp with time zone default now(),
    constraint chat_sessions_pkey primary key (id),
    constraint chat_sessions_status_check check (status = any (array['active'::text, 'escalated'::text, 'ended'::text])),
    constraint chat_sessions_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id),
    constraint chat_sessions_support_ticket_id_fkey foreign key (support_ticket_id) references raw_ops.support_tickets(id)
);
create index idx_chat_sessions_status on raw_ops.chat_sessions using btree (status);
create index idx_chat_sessions_visitor on raw_ops.chat_sessions using btree (visitor_id);
comment on table raw_ops.chat_sessions is 'Live chat session metadata';

create table raw_ops.config (
    key text not null,
    value_numeric numeric,
    value_text text,
    description text,
    updated_at timestamp with time zone default now(),
    constraint config_pkey primary key (key)
);
comment on table raw_ops.config is 'Application configuration key-value store';

create table raw_ops.courier_event_mapping (
    id uuid default gen_random_uuid() not null,
    courier_name character varying(50) not null,
    event_code text not null,
    event_type character varying(50) not null,
    requires_customer_notification boolean default false,
    notification_template_id character varying(100),
    customer_message_short text,
    internal_priority character varying(20),
    created_at timestamp with time zone default now(),
    constraint courier_event_mapping_pkey primary key (id),
    constraint courier_event_mapping_courier_name_event_code_key unique (courier_name, event_code)
);
comment on table raw_ops.courier_event_mapping is 'Mapping of courier event codes to statuses';
comment on column raw_ops.courier_event_mapping.event_type is 'Our word for the code. A code without a row here is stored as UNKNOWN and never told to a customer.';

create table raw_ops.courier_events (
    id uuid default gen_random_uuid() not null,
    shipment_id uuid not null,
    event_code text not null,
    event_text text,
    event_time timestamp with time zone not null,
    raw_payload jsonb,
    event_type character varying(50),
    requires_customer_notification boolean default false,
    customer_notified_at timestamp with time zone,
    notification_channel character varying(20),
    created_at timestamp with time zone default now(),
    constraint courier_events_pkey primary key (id),
    constraint courier_events_once unique (shipment_id, event_code, event_time),
    constraint courier_events_shipment_id_fkey foreign key (shipment_id) references raw_ops.shipments(id)
);
create index courier_events_event_time_idx on raw_ops.courier_events using btree (event_time desc);
create index idx_courier_events_created_at on raw_ops.courier_events using btree (created_at desc);
create index idx_courier_events_notification_pending on raw_ops.courier_events using btree (requires_customer_notification, customer_notified_at) where requires_customer_notification;
create index idx_courier_events_shipment_id on raw_ops.courier_events using btree (shipment_id);
create index idx_courier_events_shipment_recent on raw_ops.courier_events using btree (shipment_id, event_time desc);
create trigger trg_enqueue_handle_exception_new after insert on raw_ops.courier_events referencing new table as new_rows for each statement execute function raw_ops.enqueue_row('couriers.handle_exception', 'couriers', 'event_id', 'id', '', '', 'requires_customer_notification or event_type in (''EXCEPTION'', ''RETURNED'')');
comment on table raw_ops.courier_events is 'Courier tracking event log';
comment on column raw_ops.courier_events.event_time is 'Moves a shipment forward only: a late scan never undoes DELIVERED or RETURNED.';
comment on column raw_ops.courier_events.notification_channel is 'email: a mail was put into the outbox, and customer_notified_at says when it was sent; none: there was nothing to tell any more.';

create table raw_ops.cron_jobs_metadata (
    jobname text not null,
    description text,
    schedule text,
    created_at timestamp with time zone default now(),
    constraint cron_jobs_metadata_pkey primary key (jobname)
);
comment on table raw_ops.cron_jobs_metadata is 'Cron job execution metadata';

create table raw_ops.cs_agent_decisions (
    id uuid default gen_random_uuid() not null,
    ticket_id uuid,
    category text,
    confidence_score numeric,
    reasoning text,
    draft_response text,
    proposed_actions jsonb default '[]'::jsonb,
    escalation_reason text,
    processed_at timestamp with time zone default now(),
    review_status text default 'pending'::text,
    reviewed_at timestamp with time zone,
    reviewed_by text,
    rejection_reason text,
    rejection_feedback text,
    created_at timestamp with time zone default now(),
    source text default 'email'::text,
    dedupe_key text,
    execution_duration_ms integer,
    model_used text,
    policy_gate_triggered boolean default false,
    policy_gate_code text,
    constraint cs_agent_decisions_pkey primary key (id),
    constraint cs_agent_decisions_dedupe_key_unique unique (dedupe_key),
    constraint cs_agent_decisions_review_status_check check (review_status = any (array['pending'::text, 'approved'::text, 'edited'::text, 'rejected'::text, 'expired'::text])),
    constraint cs_agent_decisions_ticket_id_fkey foreign key (ticket_id) references raw_ops.support_tickets(id)
);
create index idx_cs_agent_decisions_pending on raw_ops.cs_agent_decisions using btree (review_status) where review_status = 'pending'::text;
create index idx_cs_agent_decisions_source on raw_ops.cs_agent_decisions using btree (source);
create index idx_cs_agent_decisions_ticket on raw_ops.cs_agent_decisions using btree (ticket_id);
comment on table raw_ops.cs_agent_decisions is 'AI classification and draft tracking';
comment on column raw_ops.cs_agent_decisions.review_status is 'The queue of people: nothing is sent before one of them has approved it.';
comment on column raw_ops.cs_agent_decisions.dedupe_key is 'One triage a message: a second request with the same key returns the first result.';
comment on column raw_ops.cs_agent_decisions.policy_gate_code is 'Why a person must answer: health, refund, legal.';

create table raw_ops.csat_responses (
    id uuid default gen_random_uuid() not null,
    ticket_id uuid not null,
    customer_id uuid not null,
    rating integer not null,
    comment text,
    submitted_at timestamp with time zone default now(),
    submitted_from text default 'email_link'::text,
    constraint csat_responses_pkey primary key (id),
    constraint csat_responses_ticket_id_key unique (ticket_id),
    constraint csat_responses_rating_check check (rating >= 1 and rating <= 5),
    constraint csat_responses_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id),
    constraint csat_responses_ticket_id_fkey foreign key (ticket_id) references raw_ops.support_tickets(id)
);
create index idx_csat_responses_rating on raw_ops.csat_responses using btree (rating);
create index idx_csat_responses_submitted_at on raw_ops.csat_responses using btree (submitted_at desc);
comment on table raw_ops.csat_responses is 'Customer satisfaction survey responses';

create table raw_ops.currency_rates (
    id bigint generated by default as identity,
    date date not null,
    from_currency text not null,
    to_currency text default 'GBP'::text,
    rate numeric not null,
    source text default 'exchangerate-api'::text,
    fetched_at timestamp with time zone default now(),
    constraint currency_rates_pkey primary key (id),
    constraint currency_rates_date_from_currency_to_currency_key unique (date, from_currency, to_currency),
    constraint currency_rates_from_currency_check check (from_currency ~ '^[A-Z]{3}$'::text),
    constraint currency_rates_rate_check check (rate > 0::numeric),
    constraint currency_rates_to_currency_check check (to_currency ~ '^[A-Z]{3}$'::text)
);
comment on table raw_ops.currency_rates is 'Currency exchange rates';
comment on column raw_ops.currency_rates.rate is 'One unit of from_currency in to_currency.';

create table raw_ops.customer_credit_applications (
    id uuid default gen_random_uuid() not null,
    credit_id uuid not null,
    order_id uuid not null,
    customer_id uuid not null,
    amount_applied_pence integer not null,
    status text default 'applied'::text not null,
    reversed_at timestamp with time zone,
    reversed_reason text,
    applied_at timestamp with time zone default now() not null,
    constraint customer_credit_applications_pkey primary key (id),
    constraint customer_credit_applications_credit_id_order_id_key unique (credit_id, order_id),
    constraint customer_credit_applications_amount_applied_pence_check check (amount_applied_pence > 0),
    constraint customer_credit_applications_status_check check (status = any (array['applied'::text, 'reversed'::text])),
    constraint customer_credit_applications_credit_id_fkey foreign key (credit_id) references raw_ops.customer_credits(id),
    constraint customer_credit_applications_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id),
    constraint customer_credit_applications_order_id_fkey foreign key (order_id) references raw_ops.orders(id)
);
create index idx_credit_applications_credit_id on raw_ops.customer_credit_applications using btree (credit_id);
create index idx_credit_applications_customer_id on raw_ops.customer_credit_applications using btree (customer_id);
create index idx_credit_applications_order_id on raw_ops.customer_credit_applications using btree (order_id);
comment on table raw_ops.customer_credit_applications is 'Credit application to orders';

create table raw_ops.customer_credit_events (
    id uuid default gen_random_uuid() not null,
    event_type text not null,
    credit_id uuid,
    customer_id uuid,
    order_id uuid,
    application_id uuid,
    payload jsonb default '{}'::jsonb not null,
    created_at timestamp with time zone default now() not null,
    constraint customer_credit_events_pkey primary key (id),
    constraint customer_credit_events_application_id_fkey foreign key (application_id) references raw_ops.customer_credit_applications(id),
    constraint customer_credit_events_credit_id_fkey foreign key (credit_id) references raw_ops.customer_credits(id),
    constraint customer_credit_events_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id),
    constraint customer_credit_events_order_id_fkey foreign key (order_id) references raw_ops.orders(id)
);
create index idx_credit_events_credit_id on raw_ops.customer_credit_events using btree (credit_id);
create index idx_credit_events_customer_id on raw_ops.customer_credit_events using btree (customer_id);
create index idx_credit_events_order_id on raw_ops.customer_credit_events using btree (order_id);
create index idx_credit_events_type on raw_ops.customer_credit_events using btree (event_type);
comment on table raw_ops.customer_credit_events is 'Credit balance change events';

create table raw_ops.customer_credits (
    id uuid default gen_random_uuid() not null,
    customer_id uuid not null,
    amount_pence integer not null,
    remaining_pence integer not null,
    source_type text not null,
    source_id uuid,
    source_description text,
    status text default 'available'::text not null,
    expires_at timestamp with time zone not null,
    expiry_warning_sent_at timestamp with time zone,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    constraint customer_credits_pkey primary key (id),
    constraint customer_credits_amount_pence_check check (amount_pence > 0),
    constraint customer_credits_remaining_within check (remaining_pence >= 0 and remaining_pence <= amount_pence),
    constraint customer_credits_status_check check (status = any (array['available'::text, 'exhausted'::text, 'expired'::text, 'revoked'::text])),
    constraint customer_credits_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id)
);
create index idx_customer_credits_customer_available on raw_ops.customer_credits using btree (customer_id, created_at) where status = 'available'::text;
create index idx_customer_credits_customer_id on raw_ops.customer_credits using btree (customer_id);
create index idx_customer_credits_expires_at on raw_ops.customer_credits using btree (expires_at) where status = 'available'::text;
create index idx_customer_credits_expiry_warning on raw_ops.customer_credits using btree (expires_at) where status = 'available'::text and expiry_warning_sent_at is null;
create index idx_customer_credits_source on raw_ops.customer_credits using btree (source_type, source_id);
create index idx_customer_credits_status on raw_ops.customer_credits using btree (status);
comment on table raw_ops.customer_credits is 'Customer credit balances';
comment on column raw_ops.customer_credits.remaining_pence is 'Taken by customer_credit_applications, given back when one is reversed.';

create table raw_ops.customer_engagement_events (
    id uuid default gen_random_uuid() not null,
    customer_id uuid not null,
    event_type text not null,
    event_source text default 'system'::text not null,
    event_metadata jsonb default '{}'::jsonb,
    created_at timestamp with time zone default now() not null,
    constraint customer_engagement_events_pkey primary key (id),
    constraint customer_engagement_events_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id)
);
create index idx_engagement_created on raw_ops.customer_engagement_events using btree (created_at desc);
create index idx_engagement_customer on raw_ops.customer_engagement_events using btree (customer_id);
create index idx_engagement_customer_created on raw_ops.customer_engagement_events using btree (customer_id, created_at desc);
create index idx_engagement_type on raw_ops.customer_engagement_events using btree (event_type);
comment on table raw_ops.customer_engagement_events is 'Customer engagement activity tracking';

create table raw_ops.customer_figures (
    customer_id uuid not null,
    orders bigint default 0 not null,
    active_subscriptions bigint default 0 not null,
    lifetime_value_gbp numeric(20,2),
    first_order_at timestamp with time zone,
    last_order_at timestamp with time zone,
    newest_order_id uuid,
    newest_order_label text,
    newest_order_status raw_ops.order_status,
    subscription_id uuid,
    subscription_status text,
    box_size text,
    frequency_weeks integer,
    next_billing_date date,
    payment_status text,
    newest_shipment_id uuid,
    newest_shipment_status raw_ops.shipment_status,
    courier text,
    tracking_no text,
    dispatched_at timestamp with time zone,
    delivered_at timestamp with time zone,
    constraint customer_figures_pkey primary key (customer_id),
    constraint customer_figures_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id) on delete cascade
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, fillfactor = 70);
comment on table raw_ops.customer_figures is 'What v_customer_context shows of orders, subscriptions and shipments; counted when a change of these commits. A customer without any has no row.';
comment on column raw_ops.customer_figures.orders is 'Paid for and not cancelled; so are the money and the two dates after it, the money without refunded orders.';
comment on column raw_ops.customer_figures.subscription_id is 'The active one, else a paused one, else the newest.';

create unlogged table raw_ops.customer_figures_due (
    xact xid8 default pg_current_xact_id() not null,
    is_call boolean default false not null,
    customer_id uuid,
    order_id uuid
) with (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
create index customer_figures_due_xact on raw_ops.customer_figures_due using btree (xact, is_call);
create constraint trigger trg_count_due_customers after insert on raw_ops.customer_figures_due deferrable initially deferred for each row when (new.is_call) execute function raw_ops.count_due_customers();
comment on table raw_ops.customer_figures_due is 'What open transactions owe: customers, orders whose shipments changed, and one call a transaction. Rows end before the commit.';

create table raw_ops.customer_health_scores (
    id uuid default gen_random_uuid() not null,
    customer_id uuid not null,
    health_score integer not null,
    risk_tier text not null,
    previous_score integer,
    previous_tier text,
    score_delta integer,
    tier_changed boolean,
    delivery_score integer not null,
    engagement_score integer not null,
    support_score integer not null,
    payment_score integer not null,
    tenure_score integer not null,
    skip_score integer not null,
    delivery_issues_count integer default 0,
    skipped_boxes_count integer default 0,
    support_tickets_count integer default 0,
    portal_logins_count integer default 0,
    proof_scans_count integer default 0,
    email_opens_count integer default 0,
    payment_failures_count integer default 0,
    subscription_age_days integer,
    total_orders_delivered integer,
    lifetime_value_pence integer,
    calculated_at timestamp with time zone default now() not null,
    calculation_version text default '1.0'::text not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    constraint customer_health_scores_pkey primary key (id),
    constraint unique_customer_health unique (customer_id),
    constraint customer_health_scores_risk_tier_check check (risk_tier = any (array['healthy'::text, 'watch'::text, 'at_risk'::text, 'critical'::text])),
    constraint customer_health_scores_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id)
);
create index idx_health_scores_at_risk on raw_ops.customer_health_scores using btree (customer_id, health_score) where risk_tier = any (array['at_risk'::text, 'critical'::text]);
create index idx_health_scores_calculated on raw_ops.customer_health_scores using btree (calculated_at);
create index idx_health_scores_score on raw_ops.customer_health_scores using btree (health_score);
create index idx_health_scores_tier on raw_ops.customer_health_scores using btree (risk_tier);
create index idx_health_scores_tier_changed on raw_ops.customer_health_scores using btree (customer_id) where tier_changed;
comment on table raw_ops.customer_health_scores is 'Computed customer health metrics';
comment on column raw_ops.customer_health_scores.calculation_version is 'Weights are versioned settings; this row was computed with these.';

create table raw_ops.customer_interventions (
    id uuid default gen_random_uuid() not null,
    customer_id uuid not null,
    intervention_type text not null,
    trigger_component text not null,
    trigger_value integer not null,
    created_at timestamp with time zone default now() not null,
    constraint customer_interventions_pkey primary key (id),
    constraint customer_interventions_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id)
);
create index idx_customer_interventions_lookup on raw_ops.customer_interventions using btree (customer_id, intervention_type, created_at desc);
comment on table raw_ops.customer_interventions is 'Proactive customer intervention records';

create table raw_ops.customers (
    id uuid default gen_random_uuid() not null,
    shopify_customer_id text,
    email public.citext,
    first_name text,
    last_name text,
    phone text,
    address_json jsonb,
    marketing_opt_in boolean default false,
    created_at timestamp with time zone default now() not null,
    address1 text,
    address2 text,
    city text,
    region text,
    postcode text,
    country_code text,
    portal_first_visited_at timestamp with time zone,
    persona text,
    acquisition_diet text,
    updated_at_shopify timestamp with time zone,
    constraint customers_pkey primary key (id),
    constraint customers_email_key unique (email),
    constraint customers_shopify_customer_id_key unique (shopify_customer_id)
);
create index idx_customers_acquisition_diet on raw_ops.customers using btree (acquisition_diet);
create index idx_customers_created_at on raw_ops.customers using btree (created_at desc);
create index idx_customers_portal_first_visited on raw_ops.customers using btree (portal_first_visited_at);
create trigger trg_note_address_change after update of address1, address2, city, region, postcode, country_code on raw_ops.customers for each row when (old.address1 is distinct from new.address1 or old.address2 is distinct from new.address2 or old.city is distinct from new.city or old.region is distinct from new.region or old.postcode is distinct from new.postcode or old.country_code is distinct from new.country_code) execute function raw_ops.note_address_change();
comment on table raw_ops.customers is 'Customer master data synced from Shopify';
comment on column raw_ops.customers.email is 'Null when unknown, never empty: two customers may both have none.';
comment on column raw_ops.customers.address1 is 'Canonical with the columns after it; address_json keeps the whole address as received.';
comment on column raw_ops.customers.updated_at_shopify is 'The age of the newest customer document, or of the last address that Shopify was told; null while only orders told of the customer.';

create table raw_ops.dead_letter_queue (
    id uuid default raw_ops.uuid_generate_v4() not null,
    source text not null,
    topic text not null,
    payload jsonb not null,
    error_message text,
    retries integer default 0 not null,
    created_at timestamp with time zone default now() not null,
    resolved boolean default false not null,
    resolved_at timestamp with time zone,
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
    resolution text,
    constraint dead_letter_queue_pkey primary key (id)
);
create index dead_letter_queue_job on raw_ops.dead_letter_queue using btree (job_id) where job_id is not null;
create index dead_letter_queue_open on raw_ops.dead_letter_queue using btree (created_at desc) where not resolved;
create trigger mark_address_failed after insert on raw_ops.dead_letter_queue for each row when (new.topic = any (array['addresses.sync_to_shopify'::text, 'addresses.sync_to_seal'::text])) execute function raw_ops.follow_dead_letter('
    select raw_ops.settle_address_sync((($1).payload ->> ''change_id'')::uuid, replace(($1).topic, ''addresses.sync_to_'', ''''), ''failed'', ($1).error_message)
');
create trigger mark_alert_failed after insert on raw_ops.dead_letter_queue for each row when (new.topic = 'alerts.post_alert'::text) execute function raw_ops.follow_dead_letter('
    update raw_ops.alert_log set delivery_status = ''failed'', delivery_response = ($1).error_message
    where id = (($1).payload ->> ''alert_id'')::uuid and delivery_status = ''pending''
');
create trigger mark_dispatch_failed after insert on raw_ops.dead_letter_queue for each row when (new.topic = 'dispatch.import_dispatch'::text) execute function raw_ops.follow_dead_letter('
    with marked as (
        update raw_ops.dispatch_import_queue q set processing_status = ''failed'', error_message = ($1).error_message
        where q.id = (($1).payload ->> ''row_id'')::uuid and q.processing_status in (''pending'', ''processing'')
        returning q.id
    )
    select raw_ops.warn_of_dispatch_rows(1) from marked
');
create trigger mark_event_failed after insert on raw_ops.dead_letter_queue for each row when (new.topic = 'lifecycle.track_event'::text) execute function raw_ops.follow_dead_letter('
    update raw_ops.lifecycle_events set status = ''failed'', last_error = ($1).error_message
    where id = (($1).payload ->> ''event_id'')::uuid and status in (''pending'', ''processing'')
');
create trigger mark_export_failed after insert on raw_ops.dead_letter_queue for each row when (new.topic = 'export.send_file'::text) execute function raw_ops.follow_dead_letter('
    update raw_ops.export_outbox set status = ''failed'', error_message = ($1).error_message
    where id = (($1).payload ->> ''export_id'')::uuid and status in (''pending'', ''sending'', ''sent'')
');
create trigger mark_message_failed after insert on raw_ops.dead_letter_queue for each row when (new.topic = 'outbox.deliver_message'::text) execute function raw_ops.follow_dead_letter('
    update raw_ops.outbox
    set state = case state when ''sending'' then ''unknown'' else ''failed'' end, error_message = ($1).error_message, updated_at = engine.now()
    where id = (($1).payload ->> ''outbox_id'')::uuid and state in (''pending'', ''sending'', ''failed'')
');
create trigger mark_seal_webhook_failed after insert on raw_ops.dead_letter_queue for each row when (new.topic = 'subscriptions.process_event'::text) execute function raw_ops.follow_dead_letter('
    update raw_ops.seal_webhook_inbox
    set processing_status = ''failed'', processing_attempts = processing_attempts + coalesce(($1).attempts, 1),
        last_error = ($1).error_message, error_category = ($1).category, processed_at = engine.now()
    where id = (($1).payload ->> ''inbox_id'')::uuid and processing_status <> ''success''
');
create trigger mark_webhook_failed after insert on raw_ops.dead_letter_queue for each row when (new.topic = any (array['orders.process_order'::text, 'orders.process_refund'::text, 'orders.process_fulfillment'::text, 'customers.process_customer'::text, 'customers.handle_privacy_request'::text, 'couriers.record_event'::text, 'dispatch.read_file'::text, 'couriers.import_logger'::text])) execute function raw_ops.follow_dead_letter('
    update raw_ops.webhook_inbox
    set processing_status = ''failed'', processing_attempts = processing_attempts + coalesce(($1).attempts, 1),
        last_error = ($1).error_message, last_error_at = engine.now(), error_category = ($1).category, updated_at = engine.now()
    where id = (($1).payload ->> ''inbox_id'')::uuid and processing_status <> ''success''
');
comment on table raw_ops.dead_letter_queue is 'Failed messages for manual review';
comment on column raw_ops.dead_letter_queue.topic is 'The kind of the job.';
comment on column raw_ops.dead_letter_queue.payload is 'The arguments of the job.';
comment on column raw_ops.dead_letter_queue.fingerprint is 'Equal for failures with one cause.';

create table raw_ops.delivery_reports (
    event_id text not null,
    outbox_id uuid,
    delivery_id text not null,
    metric text not null,
    reported_at timestamp with time zone not null,
    received_at timestamp with time zone default now() not null,
    recipient text,
    reason text,
    constraint delivery_reports_pkey primary key (event_id),
    constraint delivery_reports_event_id_check check (event_id <> ''::text),
    constraint delivery_reports_outbox_id_fkey foreign key (outbox_id) references raw_ops.outbox(id) on delete cascade
);
create index delivery_reports_open on raw_ops.delivery_reports using btree (recipient, reported_at) where outbox_id is null;
create index delivery_reports_outbox on raw_ops.delivery_reports using btree (outbox_id) where outbox_id is not null;
comment on table raw_ops.delivery_reports is 'What Customer.io reported of mails of the outbox; campaigns are not kept.';
comment on column raw_ops.delivery_reports.outbox_id is 'The mail; null while it is not known which.';
comment on column raw_ops.delivery_reports.recipient is 'Only while it is not known which mail it was.';

create table raw_ops.dispatch_import_queue (
    id uuid default gen_random_uuid() not null,
    external_order_id text not null,
    dispatch_data jsonb not null,
    processing_status text default 'pending'::text not null,
    created_at timestamp with time zone default now() not null,
    processed_at timestamp with time zone,
    error_message text,
    file_id uuid,
    line integer,
    constraint dispatch_import_queue_pkey primary key (id),
    constraint dispatch_import_queue_processing_status_check check (processing_status = any (array['pending'::text, 'processing'::text, 'processed'::text, 'failed'::text, 'ignored'::text])),
    constraint dispatch_import_queue_file_id_fkey foreign key (file_id) references raw_ops.processed_3pl_files(id)
);
create index dispatch_import_queue_file on raw_ops.dispatch_import_queue using btree (file_id) where file_id is not null;
create index idx_dispatch_queue_order on raw_ops.dispatch_import_queue using btree (external_order_id);
create index idx_dispatch_queue_status on raw_ops.dispatch_import_queue using btree (processing_status, created_at) where processing_status = any (array['pending'::text, 'failed'::text]);
create trigger trg_enqueue_import_dispatch after update of processing_status on raw_ops.dispatch_import_queue for each row when (new.processing_status = 'pending'::text) execute function raw_ops.enqueue_row('dispatch.import_dispatch', 'dispatch', 'row_id', 'id');
create trigger trg_enqueue_import_dispatch_new after insert on raw_ops.dispatch_import_queue referencing new table as new_rows for each statement execute function raw_ops.enqueue_row('dispatch.import_dispatch', 'dispatch', 'row_id', 'id', '', '', 'processing_status = ''pending''');
comment on table raw_ops.dispatch_import_queue is 'Incoming dispatch data from 3PL';
comment on column raw_ops.dispatch_import_queue.external_order_id is 'The packer''s name of the order. A row that fits no order stays here as failed: exceptions_queue needs an order.';
comment on column raw_ops.dispatch_import_queue.line is 'Of the file, counted from its first row on.';

create table raw_ops.email_events (
    id uuid default gen_random_uuid() not null,
    customer_id uuid not null,
    subscription_id uuid not null,
    event_type text not null,
    billing_date date not null,
    sent_at timestamp with time zone default now(),
    constraint email_events_pkey primary key (id),
    constraint email_events_subscription_id_event_type_billing_date_key unique (subscription_id, event_type, billing_date),
    constraint email_events_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id),
    constraint email_events_subscription_id_fkey foreign key (subscription_id) references raw_ops.subscriptions(id)
);
comment on table raw_ops.email_events is 'Email delivery event tracking';
comment on column raw_ops.email_events.billing_date is 'With subscription and type the once-key: a mail of this kind is sent once a billing date.';

create table raw_ops.escalation_queue (
    id uuid default gen_random_uuid() not null,
    created_at timestamp with time zone default now(),
    ticket_id uuid not null,
    reason text not null,
    urgency text not null,
    agent_recommendation text,
    context_summary text,
    queued_at timestamp with time zone not null,
    "position" integer,
    processed_at timestamp with time zone,
    holding_response_sent boolean default false,
    holding_response_sent_at timestamp with time zone,
    constraint escalation_queue_pkey primary key (id),
    constraint escalation_queue_ticket_id_fkey foreign key (ticket_id) references raw_ops.support_tickets(id)
);
create index idx_escalation_queue_pending on raw_ops.escalation_queue using btree (queued_at) where processed_at is null;
create index idx_escalation_queue_urgency on raw_ops.escalation_queue using btree (urgency, queued_at) where processed_at is null;
comment on table raw_ops.escalation_queue is 'Tickets requiring human escalation';

create table raw_ops.exceptions_queue (
    id uuid default gen_random_uuid() not null,
    order_id uuid not null,
    shipment_id uuid,
    issue_type text not null,
    issue_description text not null,
    raw_data jsonb,
    resolved boolean default false not null,
    resolved_at timestamp with time zone,
    resolved_by text,
    created_at timestamp with time zone default now() not null,
    constraint exceptions_queue_pkey primary key (id),
    constraint exceptions_queue_order_id_fkey foreign key (order_id) references raw_ops.orders(id),
    constraint exceptions_queue_shipment_id_fkey foreign key (shipment_id) references raw_ops.shipments(id)
);
create index exceptions_queue_open_parcels on raw_ops.exceptions_queue using btree (shipment_id) where not resolved and shipment_id is not null;
create index idx_exceptions_queue_unresolved on raw_ops.exceptions_queue using btree (resolved, created_at) where not resolved;
comment on table raw_ops.exceptions_queue is 'Operational exceptions requiring attention';

create table raw_ops.export_outbox (
    id uuid default gen_random_uuid() not null,
    batch_id text not null,
    order_ids uuid[] not null,
    csv_data jsonb not null,
    status text default 'pending'::text not null,
    attempts integer default 0 not null,
    last_attempt_at timestamp with time zone,
    error_message text,
    created_at timestamp with time zone default now() not null,
    sent_at timestamp with time zone,
    confirmed_at timestamp with time zone,
    file_name text,
    file_sha256 text,
    manifest_version text,
    stopped_order_ids uuid[] default '{}'::uuid[] not null,
    constraint export_outbox_pkey primary key (id),
    constraint export_outbox_file_sha256_check check (file_sha256 ~ '^[0-9a-f]{64}$'::text),
    constraint export_outbox_status_check check (status = any (array['pending'::text, 'sending'::text, 'sent'::text, 'confirmed'::text, 'failed'::text, 'cancelled'::text]))
);
create unique index export_outbox_file on raw_ops.export_outbox using btree (file_name) where file_name is not null;
create index idx_outbox_failed on raw_ops.export_outbox using btree (status, attempts, last_attempt_at) where status = 'failed'::text;
create index idx_outbox_pending on raw_ops.export_outbox using btree (status, created_at) where status = 'pending'::text;
create index idx_outbox_retry on raw_ops.export_outbox using btree (status, attempts) where status = 'failed'::text and attempts < 3;
create trigger trg_enqueue_send_file after update of status on raw_ops.export_outbox for each row when (new.status = 'pending'::text) execute function raw_ops.enqueue_row('export.send_file', 'export', 'export_id', 'id');
create trigger trg_enqueue_send_file_new after insert on raw_ops.export_outbox referencing new table as new_rows for each statement execute function raw_ops.enqueue_row('export.send_file', 'export', 'export_id', 'id', '', '', 'status = ''pending''');
comment on table raw_ops.export_outbox is 'Orders queued for export to fulfillment';
comment on column raw_ops.export_outbox.batch_id is 'The name of this export, not a production batch.';
comment on column raw_ops.export_outbox.order_ids is 'orders.id of every order in the file.';
comment on column raw_ops.export_outbox.file_name is 'Follows from the batch and the version: the same when it is sent again.';
comment on column raw_ops.export_outbox.file_sha256 is 'Of the bytes that csv_data gives in this version.';
comment on column raw_ops.export_outbox.stopped_order_ids is 'Orders of it that the packer did not send, because Shopify had ended them.';

create table raw_ops.feeding_plans (
    id uuid default gen_random_uuid() not null,
    customer_id uuid not null,
    dog_name text,
    dog_weight_kg numeric not null,
    life_stage text default 'adult'::text not null,
    activity_level text default 'moderate'::text not null,
    is_neutered boolean default true not null,
    body_condition text default 'ideal'::text,
    daily_grams integer not null,
    daily_kcal integer not null,
    box_size text default '12kg'::text not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    constraint feeding_plans_pkey primary key (id),
    constraint feeding_plans_dog_weight_kg_check check (dog_weight_kg >= 0.5 and dog_weight_kg <= 100::numeric),
    constraint feeding_plans_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id)
);
create index idx_feeding_plans_customer on raw_ops.feeding_plans using btree (customer_id);
comment on table raw_ops.feeding_plans is 'Customer feeding plan configurations';
comment on column raw_ops.feeding_plans.dog_weight_kg is 'Beyond 0.5 to 100 kg the formula is not trusted: such a dog is a question for a person.';
comment on column raw_ops.feeding_plans.daily_grams is 'Grams of food a day. A guide, not the advice of a vet.';
comment on column raw_ops.feeding_plans.daily_kcal is 'Kilocalories a day (MER).';

create table raw_ops.formulations (
    id uuid default gen_random_uuid() not null,
    version text not null,
    name text not null,
    description text,
    effective_from date not null,
    effective_until date,
    shopify_page_url text not null,
    lab_certificate_pdf_url text,
    lab_name text,
    certificate_reference text,
    analysis_date date,
    fediaf_verified boolean default true,
    created_at timestamp with time zone default now(),
    updated_at timestamp with time zone default now(),
    constraint formulations_pkey primary key (id),
    constraint formulations_version_key unique (version)
);
create index idx_formulations_current on raw_ops.formulations using btree (effective_until) where effective_until is null;
create index idx_formulations_effective on raw_ops.formulations using btree (effective_from, effective_until);
comment on table raw_ops.formulations is 'Recipe/formulation definitions';
comment on column raw_ops.formulations.effective_until is 'Null while the recipe is in use.';

create table raw_ops.high_risk_postcodes (
    id bigint generated by default as identity,
    postcode_prefix text not null,
    region_name text not null,
    typical_transit_hours integer not null,
    courier_service_level text,
    delivery_policy text not null,
    checkout_message text not null,
    is_active boolean default true,
    notes text,
    created_at timestamp with time zone default now(),
    updated_at timestamp with time zone default now(),
    constraint high_risk_postcodes_pkey primary key (id),
    constraint high_risk_postcodes_postcode_prefix_key unique (postcode_prefix),
    constraint high_risk_postcodes_postcode_prefix_check check (postcode_prefix = upper(btrim(postcode_prefix)))
);
create index idx_high_risk_postcodes_active on raw_ops.high_risk_postcodes using btree (is_active) where is_active;
comment on table raw_ops.high_risk_postcodes is 'Postcodes requiring extra cold chain protection';
comment on column raw_ops.high_risk_postcodes.postcode_prefix is 'Upper case. Matched by outward code, the longest first: PO1 is not PO10.';

create table raw_ops.inventory (
    id uuid default gen_random_uuid() not null,
    batch_id uuid not null,
    location text not null,
    kg_available numeric not null,
    updated_at timestamp with time zone default now() not null,
    constraint inventory_pkey primary key (id),
    constraint inventory_batch_id_location_key unique (batch_id, location),
    constraint inventory_kg_available_check check (kg_available >= 0::numeric),
    constraint inventory_batch_id_fkey foreign key (batch_id) references raw_ops.batches(id)
);
create trigger trg_log_inventory_movement after update on raw_ops.inventory for each row when (old.kg_available is distinct from new.kg_available) execute function raw_ops.log_inventory_movement();
comment on table raw_ops.inventory is 'Stock levels by batch and location';
comment on column raw_ops.inventory.kg_available is 'Derived from batches.qty_on_hand and products.kg; a monitor reconciles them.';

create table raw_ops.inventory_movements (
    id uuid default gen_random_uuid() not null,
    sku text not null,
    movement_type text not null,
    qty_change integer not null,
    qty_before integer not null,
    qty_after integer not null,
    reference_id uuid,
    reference_type text,
    notes text,
    created_at timestamp with time zone default now() not null,
    constraint inventory_movements_pkey primary key (id),
    constraint inventory_movements_add_up check (qty_after = (qty_before + qty_change))
);
create index idx_inventory_movements_created_at on raw_ops.inventory_movements using btree (created_at desc);
create index idx_inventory_movements_sku on raw_ops.inventory_movements using btree (sku);
comment on table raw_ops.inventory_movements is 'Complete audit trail of inventory changes';
comment on column raw_ops.inventory_movements.qty_change is 'Units; positive is stock coming in.';
comment on column raw_ops.inventory_movements.reference_id is 'The batch for a movement of stock of a batch; reference_type says what it is.';

create table raw_ops.inventory_on_hand (
    id uuid default gen_random_uuid() not null,
    sku text not null,
    qty_available integer default 0 not null,
    location text default '3PL-PRIMARY'::text,
    updated_at timestamp with time zone default now() not null,
    created_at timestamp with time zone default now() not null,
    constraint inventory_on_hand_pkey primary key (id),
    constraint inventory_on_hand_sku_key unique (sku),
    constraint inventory_on_hand_qty_available_check check (qty_available >= 0)
);
comment on table raw_ops.inventory_on_hand is 'Current on-hand inventory snapshot';
comment on column raw_ops.inventory_on_hand.qty_available is 'Units per SKU over all batches that are released; derived, a monitor reconciles it.';

create table raw_ops.inventory_planning_config (
    id uuid default gen_random_uuid() not null,
    config_key text not null,
    config_value numeric not null,
    description text,
    updated_at timestamp with time zone default now(),
    updated_by text,
    constraint inventory_planning_config_pkey primary key (id),
    constraint inventory_planning_config_config_key_key unique (config_key)
);
comment on table raw_ops.inventory_planning_config is 'Inventory planning parameters';

create table raw_ops.invoice_parsing_jobs (
    id uuid default gen_random_uuid() not null,
    status text default 'pending'::text not null,
    invoice_pdf_url text not null,
    sender_email text,
    invoice_type text,
    parsed_data jsonb,
    confidence_score numeric,
    last_error text,
    created_at timestamp with time zone default now(),
    processed_at timestamp with time zone,
    processing_duration_ms integer,
    constraint invoice_parsing_jobs_pkey primary key (id),
    constraint invoice_parsing_jobs_status_check check (status = any (array['pending'::text, 'processing'::text, 'completed'::text, 'failed'::text, 'failed_review'::text]))
);
create index idx_invoice_jobs_created on raw_ops.invoice_parsing_jobs using btree (created_at desc);
create index idx_invoice_jobs_failed_review on raw_ops.invoice_parsing_jobs using btree (status, created_at) where status = 'failed_review'::text;
create index idx_invoice_jobs_performance on raw_ops.invoice_parsing_jobs using btree (processed_at, processing_duration_ms) where processing_duration_ms is not null;
create index idx_invoice_jobs_status on raw_ops.invoice_parsing_jobs using btree (status);
create index idx_invoice_jobs_type on raw_ops.invoice_parsing_jobs using btree (invoice_type);
comment on table raw_ops.invoice_parsing_jobs is 'Invoice PDF parsing job tracking';

create table raw_ops.lab_pdf_patterns (
    id uuid default gen_random_uuid() not null,
    lab_name text not null,
    batch_code_regex text not null,
    salmonella_pattern text not null,
    listeria_pattern text,
    enterobacteriaceae_pattern text not null,
    notes text,
    created_at timestamp with time zone default now(),
    updated_at timestamp with time zone default now(),
    constraint lab_pdf_patterns_pkey primary key (id)
);
comment on table raw_ops.lab_pdf_patterns is 'Patterns for parsing lab PDF reports';
comment on column raw_ops.lab_pdf_patterns.batch_code_regex is 'Rust regex syntax; linear in the text, compiled when loaded.';

create table raw_ops.lab_result_history (
    id uuid default gen_random_uuid() not null,
    lab_result_id uuid not null,
    batch_id uuid not null,
    outcome raw_ops.lab_outcome not null,
    reported_at timestamp with time zone not null,
    pdf_hash text,
    result jsonb not null,
    reason text not null,
    replaced_at timestamp with time zone default now() not null,
    constraint lab_result_history_pkey primary key (id),
    constraint lab_result_history_batch_id_fkey foreign key (batch_id) references raw_ops.batches(id),
    constraint lab_result_history_lab_result_id_fkey foreign key (lab_result_id) references raw_ops.lab_results(id) on delete cascade
);
create index idx_lab_result_history_batch on raw_ops.lab_result_history using btree (batch_id, replaced_at desc);
comment on table raw_ops.lab_result_history is 'Decisions about a batch that a retest has replaced';
comment on column raw_ops.lab_result_history.result is 'The replaced row of lab_results with its samples.';

create table raw_ops.lab_result_samples (
    id uuid default gen_random_uuid() not null,
    lab_result_id uuid not null,
    sample_no integer not null,
    sample_ref text,
    sample_grams numeric,
    salmonella_absent boolean,
    salmonella_text text,
    listeria_absent boolean,
    listeria_text text,
    enterobacteriaceae_operator text,
    enterobacteriaceae_cfu_per_g integer,
    enterobacteriaceae_text text,
    created_at timestamp with time zone default now() not null,
    constraint lab_result_samples_pkey primary key (id),
    constraint lab_result_samples_once unique (lab_result_id, sample_no),
    constraint lab_result_samples_enterobacteriaceae_cfu_per_g_check check (enterobacteriaceae_cfu_per_g >= 0),
    constraint lab_result_samples_enterobacteriaceae_operator_check check (enterobacteriaceae_operator = any (array['<'::text, '='::text, '>'::text])),
    constraint lab_result_samples_sample_grams_check check (sample_grams > 0::numeric),
    constraint lab_result_samples_sample_no_check check (sample_no > 0),
    constraint lab_result_samples_lab_result_id_fkey foreign key (lab_result_id) references raw_ops.lab_results(id) on delete cascade
);
comment on table raw_ops.lab_result_samples is 'The samples that a laboratory result is made of';
comment on column raw_ops.lab_result_samples.sample_ref is 'The laboratory''s own name of the sample.';
comment on column raw_ops.lab_result_samples.salmonella_text is 'The line of the report that was read, as evidence.';

create table raw_ops.lab_results (
    id uuid default gen_random_uuid() not null,
    batch_id uuid not null,
    lab_name text not null,
    report_pdf_url text not null,
    salmonella_absent boolean,
    enterobacteriaceae_cfu_per_g integer,
    outcome raw_ops.lab_outcome not null,
    collected_at date,
    reported_at timestamp with time zone default now() not null,
    raw_email_metadata jsonb,
    confidence_score numeric,
    pdf_hash text,
    parsed_by text default 'openai'::text,
    listeria_absent boolean,
    enterobacteriaceae_operator text,
    enterobacteriaceae_text text,
    constraint lab_results_pkey primary key (id),
    constraint lab_results_batch_id_key unique (batch_id),
    constraint unique_batch_result unique (batch_id, lab_name, reported_at),
    constraint lab_results_confidence_score_check check (confidence_score >= 0::numeric and confidence_score <= 1::numeric),
    constraint lab_results_enterobacteriaceae_operator_check check (enterobacteriaceae_operator = any (array['<'::text, '='::text, '>'::text])),
    constraint lab_results_batch_id_fkey foreign key (batch_id) references raw_ops.batches(id)
);
create index idx_lab_results_batch_id_reported on raw_ops.lab_results using btree (batch_id, reported_at desc);
create index idx_lab_results_pdf_hash on raw_ops.lab_results using btree (pdf_hash) where pdf_hash is not null;
create index lab_results_outcome_idx on raw_ops.lab_results using btree (outcome);
comment on table raw_ops.lab_results is 'Parsed laboratory test results';
comment on column raw_ops.lab_results.batch_id is 'One row a batch: the decision in force. A retest moves the former one to lab_result_history.';
comment on column raw_ops.lab_results.salmonella_absent is 'True only when absence in 25 g is stated; null when the report does not say.';
comment on column raw_ops.lab_results.enterobacteriaceae_cfu_per_g is 'The worst sample''s count; the report''s own words are in enterobacteriaceae_text.';
comment on column raw_ops.lab_results.confidence_score is '0 to 1; how sure the reading of the document is.';
comment on column raw_ops.lab_results.pdf_hash is 'SHA-256 of the document. Seen with another batch, it is no evidence for this one.';
comment on column raw_ops.lab_results.parsed_by is 'Who read the document. Our reader names itself (pattern); the default is the registry''s and no claim.';
comment on column raw_ops.lab_results.enterobacteriaceae_operator is 'How the count was reported: "<" means less than it, so the count is the upper bound that is compared.';

create table raw_ops.lifecycle_events (
    id uuid default gen_random_uuid() not null,
    event_name text not null,
    idempotency_key text not null,
    customer_id uuid not null,
    customer_email text not null,
    event_data jsonb default '{}'::jsonb not null,
    status text default 'pending'::text not null,
    attempts integer default 0 not null,
    max_attempts integer default 5 not null,
    created_at timestamp with time zone default now() not null,
    scheduled_for timestamp with time zone default now() not null,
    next_retry_at timestamp with time zone,
    processed_at timestamp with time zone,
    customerio_delivery_id text,
    last_error text,
    error_history jsonb default '[]'::jsonb,
    source_table text,
    source_id uuid,
    triggered_by text default 'system'::text,
    customerio_event_id text,
    constraint lifecycle_events_pkey primary key (id),
    constraint lifecycle_events_idempotency_key_key unique (idempotency_key),
    constraint lifecycle_events_status_check check (status = any (array['pending'::text, 'processing'::text, 'processed'::text, 'failed'::text, 'cancelled'::text])),
    constraint lifecycle_events_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id)
);
create index idx_lifecycle_events_customer on raw_ops.lifecycle_events using btree (customer_id, created_at desc);
create index idx_lifecycle_events_name_status on raw_ops.lifecycle_events using btree (event_name, status, created_at);
create index idx_lifecycle_events_pending on raw_ops.lifecycle_events using btree (scheduled_for, created_at) where status = 'pending'::text;
create index idx_lifecycle_events_retry on raw_ops.lifecycle_events using btree (next_retry_at) where status = 'failed'::text and attempts < max_attempts;
create index idx_lifecycle_events_source on raw_ops.lifecycle_events using btree (source_table, source_id) where source_id is not null;
create unique index lifecycle_events_customerio_event on raw_ops.lifecycle_events using btree (customerio_event_id) where customerio_event_id is not null;
create trigger trg_enqueue_track_event after update of status on raw_ops.lifecycle_events for each row when (new.status = 'pending'::text) execute function raw_ops.enqueue_row('lifecycle.track_event', 'lifecycle', 'event_id', 'id', 'scheduled_for');
create trigger trg_enqueue_track_event_new after insert on raw_ops.lifecycle_events referencing new table as new_rows for each statement execute function raw_ops.enqueue_row('lifecycle.track_event', 'lifecycle', 'event_id', 'id', 'scheduled_for', '', 'status = ''pending''');
comment on table raw_ops.lifecycle_events is 'Customer lifecycle event log';
comment on column raw_ops.lifecycle_events.idempotency_key is 'Also makes the event''s ULID, by which Customer.io drops repetitions.';
comment on column raw_ops.lifecycle_events.customerio_event_id is 'The ULID under which Customer.io knows the event; reports of the campaign it started name it.';

create table raw_ops.manual_override_audit (
    id uuid default gen_random_uuid() not null,
    batch_id uuid not null,
    batch_code text not null,
    override_type text not null,
    old_status text,
    new_status text,
    requester_name text not null,
    approver_name text not null,
    justification text not null,
    evidence_pdf_url text not null,
    created_at timestamp with time zone default now(),
    constraint manual_override_audit_pkey primary key (id),
    constraint manual_override_audit_two_people check (lower(btrim(requester_name)) <> lower(btrim(approver_name))),
    constraint manual_override_audit_batch_id_fkey foreign key (batch_id) references raw_ops.batches(id)
);
create index idx_manual_override_audit_batch_id on raw_ops.manual_override_audit using btree (batch_id);
create index idx_manual_override_audit_created_at on raw_ops.manual_override_audit using btree (created_at desc);
comment on table raw_ops.manual_override_audit is 'Audit trail for manual overrides';
comment on column raw_ops.manual_override_audit.approver_name is 'Another person than the requester.';

create table raw_ops.monitoring_runs (
    id uuid default gen_random_uuid() not null,
    check_name text not null,
    run_at timestamp with time zone default now() not null,
    duration_ms integer,
    status text default 'running'::text not null,
    result_summary text,
    result_json jsonb,
    alert_triggered boolean default false,
    error_message text,
    constraint monitoring_runs_pkey primary key (id),
    constraint monitoring_runs_status_check check (status = any (array['running'::text, 'success'::text, 'error'::text]))
);
create index idx_monitoring_runs_check_run on raw_ops.monitoring_runs using btree (check_name, run_at desc);
create index idx_monitoring_runs_errors on raw_ops.monitoring_runs using btree (status, run_at desc) where status = 'error'::text;
comment on table raw_ops.monitoring_runs is 'Monitor execution history';

create table raw_ops.ops_events (
    id uuid default gen_random_uuid() not null,
    entity_type text not null,
    entity_id uuid not null,
    kind text not null,
    message text not null,
    created_at timestamp with time zone default now() not null,
    meta jsonb,
    slack_notified_at timestamp with time zone,
    processed_at timestamp with time zone,
    customer_event_type text,
    event_payload jsonb,
    source_system text,
    source_id uuid,
    processing_time_ms integer,
    constraint ops_events_pkey primary key (id)
);
create index idx_ops_events_allocations on raw_ops.ops_events using btree (kind, created_at desc) where kind = any (array['allocation_success'::text, 'allocation_warning'::text, 'allocation_partial'::text]);
create index idx_ops_events_cold_chain on raw_ops.ops_events using btree (kind, created_at desc) where kind = any (array['TEMPERATURE_LOGGED'::text, 'TEMPERATURE_ALERT'::text, 'PACKAGING_ASSIGNED'::text]);
create index idx_ops_events_courier_unprocessed on raw_ops.ops_events using btree (created_at) where processed_at is null and kind = 'CUSTOMER_EVENT'::text and customer_event_type = 'courier_exception'::text;
create index idx_ops_events_customer_polling on raw_ops.ops_events using btree (kind, processed_at, created_at) where kind = 'CUSTOMER_EVENT'::text;
create index idx_ops_events_entity on raw_ops.ops_events using btree (entity_id, created_at desc);
create index idx_ops_events_kind_created on raw_ops.ops_events using btree (kind, created_at desc);
create index idx_ops_events_slack_notified on raw_ops.ops_events using btree (slack_notified_at) where entity_type = 'SHIPMENT'::text and kind = 'EXCEPTION'::text;
create index idx_ops_events_source on raw_ops.ops_events using btree (source_system, source_id);
comment on table raw_ops.ops_events is 'Operational event log (audit trail)';
comment on column raw_ops.ops_events.entity_id is 'The entity''s own id where that is a uuid, else a uuid made of its table and id, with the real id in meta.';

create table raw_ops.order_items (
    id uuid default gen_random_uuid() not null,
    order_id uuid not null,
    product_id uuid,
    qty integer not null,
    unit_price_ex_vat numeric(12,2) not null,
    shopify_line_item_id text,
    shopify_product_id text,
    sku text,
    product_name text,
    quantity integer,
    unit_price_gbp numeric(12,2),
    fulfilled_qty integer default 0 not null,
    pet_number integer,
    pet_name text,
    daily_grams integer,
    life_stage text,
    constraint order_items_pkey primary key (id),
    constraint order_items_shopify_line_item_id_key unique (shopify_line_item_id),
    constraint order_items_quantity_agrees check (quantity = qty),
    constraint order_items_unit_price_agrees check (unit_price_gbp = unit_price_ex_vat),
    constraint order_items_order_id_fkey foreign key (order_id) references raw_ops.orders(id),
    constraint order_items_product_id_fkey foreign key (product_id) references raw_ops.products(id)
);
create index idx_order_items_allocation_lookup on raw_ops.order_items using btree (order_id, id);
create index idx_order_items_order_id on raw_ops.order_items using btree (order_id);
create index idx_order_items_order_lookup on raw_ops.order_items using btree (order_id, id, product_id);
create index idx_order_items_pet on raw_ops.order_items using btree (order_id, pet_number) where pet_number is not null;
create index idx_order_items_product on raw_ops.order_items using btree (product_id) where product_id is not null;
comment on table raw_ops.order_items is 'Line items per order';
comment on column raw_ops.order_items.unit_price_ex_vat is 'List price of one unit without VAT, before discounts, rounded to the penny.';
comment on column raw_ops.order_items.fulfilled_qty is 'Units that Shopify says were sent; a line with any is never removed.';

create table raw_ops.order_notes (
    id uuid default gen_random_uuid() not null,
    created_at timestamp with time zone default now(),
    order_id uuid not null,
    author text not null,
    note text not null,
    note_type text default 'general'::text,
    support_ticket_id uuid,
    refund_id uuid,
    constraint order_notes_pkey primary key (id),
    constraint order_notes_order_id_fkey foreign key (order_id) references raw_ops.orders(id),
    constraint order_notes_refund_id_fkey foreign key (refund_id) references raw_ops.refunds(id),
    constraint order_notes_support_ticket_id_fkey foreign key (support_ticket_id) references raw_ops.support_tickets(id)
);
create index idx_order_notes_created on raw_ops.order_notes using btree (created_at desc);
create index idx_order_notes_order on raw_ops.order_notes using btree (order_id);
comment on table raw_ops.order_notes is 'Internal notes attached to orders';

create table raw_ops.orders (
    id uuid default gen_random_uuid() not null,
    shopify_order_id text,
    customer_id uuid,
    subtotal_ex_vat numeric(12,2) default 0 not null,
    vat numeric(12,2) default 0 not null,
    total_inc_vat numeric(12,2) default 0 not null,
    currency text default 'GBP'::text not null,
    status raw_ops.order_status default 'PENDING'::raw_ops.order_status not null,
    is_subscription boolean default false not null,
    utm jsonb,
    ordered_at timestamp with time zone default now() not null,
    created_at timestamp with time zone default now() not null,
    order_number_label text,
    created_at_shopify timestamp with time zone,
    updated_at_shopify timestamp with time zone,
    fulfillment_status text,
    subtotal_gbp numeric(12,2),
    tax_gbp numeric(12,2),
    discount_gbp numeric(12,2),
    total_gbp numeric(12,2),
    ship_name text,
    ship_phone text,
    ship_address1 text,
    ship_address2 text,
    ship_city text,
    ship_postcode text,
    ship_country text,
    notes_json jsonb,
    tags text[],
    utm_json jsonb,
    export_state text,
    exported_at timestamp with time zone,
    external_order_ref text,
    acked_at timestamp with time zone,
    manifest_version text default 'v1'::text,
    referral_slug text,
    referral_id uuid,
    discount_codes jsonb,
    referral_processed_at timestamp with time zone,
    credit_checked_at timestamp with time zone,
    credit_applied_pence integer default 0,
    constraint orders_pkey primary key (id),
    constraint orders_shopify_order_id_key unique (shopify_order_id),
    constraint orders_subtotal_agrees check (subtotal_gbp = subtotal_ex_vat),
    constraint orders_tax_agrees check (tax_gbp = vat),
    constraint orders_total_agrees check (total_gbp = total_inc_vat),
    constraint orders_utm_agrees check (utm_json = utm),
    constraint orders_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id),
    constraint orders_referral_id_fkey foreign key (referral_id) references raw_ops.referrals(id)
);
create index idx_orders_allocation_pending on raw_ops.orders using btree (status, created_at) where status = 'PAID'::raw_ops.order_status;
create index idx_orders_created_at_desc on raw_ops.orders using btree (created_at desc);
create index idx_orders_credit_pending on raw_ops.orders using btree (created_at) where credit_checked_at is null;
create index idx_orders_customer_recent on raw_ops.orders using btree (customer_id, ordered_at desc);
create index idx_orders_export_eligibility on raw_ops.orders using btree (status, export_state, ordered_at) where status = 'PAID'::raw_ops.order_status and export_state is null;
create index idx_orders_export_state on raw_ops.orders using btree (status, export_state);
create index idx_orders_paid_unallocated on raw_ops.orders using btree (created_at) where status = 'PAID'::raw_ops.order_status;
create index idx_orders_referral_id on raw_ops.orders using btree (referral_id) where referral_id is not null;
create unique index orders_external_order_ref on raw_ops.orders using btree (external_order_ref) where external_order_ref is not null;
create index orders_ordered_at_idx on raw_ops.orders using btree (ordered_at);
create trigger trg_allocate_on_order after insert on raw_ops.orders for each row when (new.status = 'PAID'::raw_ops.order_status) execute function raw_ops.allocate_order_to_batches();
create trigger trg_order_figures_changed after update on raw_ops.orders referencing old table as old_rows new table as new_rows for each statement execute function raw_ops.owe_order_figures();
create trigger trg_order_figures_emptied after truncate on raw_ops.orders for each statement execute function raw_ops.owe_order_figures();
create trigger trg_order_figures_gone after delete on raw_ops.orders referencing old table as old_rows for each statement execute function raw_ops.owe_order_figures();
create trigger trg_order_figures_new after insert on raw_ops.orders referencing new table as new_rows for each statement execute function raw_ops.owe_order_figures();
comment on table raw_ops.orders is 'Order headers from Shopify webhooks';
comment on column raw_ops.orders.shopify_order_id is 'The text of Shopify''s integer.';
comment on column raw_ops.orders.subtotal_ex_vat is 'Goods after discounts, without VAT and shipping, in the shop''s currency.';
comment on column raw_ops.orders.vat is 'All VAT of the order, that of shipping included.';
comment on column raw_ops.orders.total_inc_vat is 'What the customer paid or owes: goods, shipping and VAT, as sold; refunds are rows of refunds.';
comment on column raw_ops.orders.export_state is 'Null, review, queued (in a batch), exported (the drop has it), acked (the packer has read it), ended, stopped (he did not send it).';
comment on column raw_ops.orders.external_order_ref is 'The order''s name at the packer.';

create table raw_ops.outbox (
    id uuid default gen_random_uuid() not null,
    created_at timestamp with time zone default now() not null,
    target text not null,
    event_type text not null,
    payload_json jsonb not null,
    state text default 'pending'::text not null,
    attempts integer default 0 not null,
    first_sent_at timestamp with time zone,
    last_sent_at timestamp with time zone,
    error_message text,
    manifest_version text default 'v1'::text not null,
    hash text,
    kind text,
    updated_at timestamp with time zone default now() not null,
    idempotency_key text,
    delivery_id text,
    constraint outbox_pkey primary key (id),
    constraint outbox_idempotency_key_key unique (idempotency_key),
    constraint outbox_state_check check (state = any (array['pending'::text, 'sending'::text, 'sent'::text, 'failed'::text, 'unknown'::text, 'cancelled'::text]))
);
create index idx_outbox_state_created on raw_ops.outbox using btree (state, created_at) where state = 'pending'::text;
create index ix_outbox_state_created_at on raw_ops.outbox using btree (state, created_at);
create index ix_outbox_target_state on raw_ops.outbox using btree (target, state);
create unique index outbox_delivery_id on raw_ops.outbox using btree (delivery_id) where delivery_id is not null;
create index outbox_open on raw_ops.outbox using btree (lower(payload_json ->> 'to'::text), last_sent_at) where state = any (array['sending'::text, 'unknown'::text]);
create index outbox_sent on raw_ops.outbox using btree (last_sent_at) where state = 'sent'::text;
create trigger trg_enqueue_deliver_message after update of state on raw_ops.outbox for each row when (new.state = 'pending'::text) execute function raw_ops.enqueue_row('outbox.deliver_message', 'outbox', 'outbox_id', 'id');
create trigger trg_enqueue_deliver_message_new after insert on raw_ops.outbox referencing new table as new_rows for each statement execute function raw_ops.enqueue_row('outbox.deliver_message', 'outbox', 'outbox_id', 'id', '', '', 'state = ''pending''');
comment on table raw_ops.outbox is 'Email/notification outbox queue';
comment on column raw_ops.outbox.target is 'Where it goes: the outside system that sends it.';
comment on column raw_ops.outbox.state is 'unknown: the request was sent and no answer came. Sent again only by a person, or marked sent by the vendor''s report.';
comment on column raw_ops.outbox.delivery_id is 'The vendor''s id of the message; written in the transaction that marks the row sent.';

create table raw_ops.pack_quality_checks (
    id bigint generated by default as identity,
    order_id uuid,
    packing_instruction_id bigint,
    shopify_order_id text,
    expected_total_weight_kg numeric not null,
    actual_weight_kg numeric not null,
    weight_variance_kg numeric,
    weight_variance_pct numeric,
    pack_started_at timestamp with time zone,
    pack_completed_at timestamp with time zone,
    pack_time_seconds integer,
    logger_activated boolean default false,
    void_fill_complete boolean default false,
    visual_check_pass boolean default false,
    packed_by character varying(100) not null,
    packed_at timestamp with time zone default now(),
    photo_url text,
    notes text,
    created_at timestamp with time zone default now(),
    constraint pack_quality_checks_pkey primary key (id),
    constraint pack_quality_checks_order_id_fkey foreign key (order_id) references raw_ops.orders(id),
    constraint pack_quality_checks_packing_instruction_id_fkey foreign key (packing_instruction_id) references raw_ops.packing_instructions(id)
);
create index idx_pack_quality_checks_order_id on raw_ops.pack_quality_checks using btree (order_id);
create index idx_pack_quality_checks_packed_at on raw_ops.pack_quality_checks using btree (packed_at desc);
create index idx_pack_quality_checks_packed_by on raw_ops.pack_quality_checks using btree (packed_by);
create trigger trg_enqueue_judge_check_new after insert on raw_ops.pack_quality_checks referencing new table as new_rows for each statement execute function raw_ops.enqueue_row('packing.judge_check', 'packing', 'check_id', 'id', '', '', 'true');
comment on table raw_ops.pack_quality_checks is 'Quality check records during packing';
comment on column raw_ops.pack_quality_checks.weight_variance_pct is 'Percent of the expected weight, positive when heavier.';

create table raw_ops.packing_instructions (
    id bigint generated by default as identity,
    order_id uuid,
    shopify_order_id text,
    box_size character varying(10) not null,
    insulation_type character varying(50) default 'Wool'::character varying not null,
    pcm_mass_kg numeric not null,
    pcm_packs_count smallint not null,
    ambient_forecast_max numeric,
    transit_hours_expected smallint,
    forecast_retrieved_at timestamp with time zone default now(),
    risk_level character varying(20) not null,
    logger_required boolean default false,
    special_notes text,
    created_at timestamp with time zone default now(),
    calculated_by character varying(50) default 'automated'::character varying,
    calculation_version character varying(10) default '1.0'::character varying,
    batch_id uuid,
    pack_on date,
    deliver_on date,
    expected_weight_kg numeric,
    food_grams bigint,
    postcode text,
    country text,
    constraint packing_instructions_pkey primary key (id),
    constraint unique_order_instruction unique (order_id),
    constraint packing_instructions_batch_id_fkey foreign key (batch_id) references raw_ops.batches(id),
    constraint packing_instructions_order_id_fkey foreign key (order_id) references raw_ops.orders(id)
);
create index idx_packing_instructions_batch_id on raw_ops.packing_instructions using btree (batch_id);
create index idx_packing_instructions_calc_version on raw_ops.packing_instructions using btree (calculation_version);
create index idx_packing_instructions_created_at on raw_ops.packing_instructions using btree (created_at desc);
create index idx_packing_instructions_shopify_order_id on raw_ops.packing_instructions using btree (shopify_order_id);
comment on table raw_ops.packing_instructions is 'PCM requirements per order';
comment on column raw_ops.packing_instructions.pcm_mass_kg is 'Phase change material: the coolant of the box.';
comment on column raw_ops.packing_instructions.ambient_forecast_max is 'Degrees Celsius on the way; assumed, and said so in special_notes, where forecast_retrieved_at is null.';
comment on column raw_ops.packing_instructions.calculation_version is 'The version of the rules: config packing.rules.VERSION.';
comment on column raw_ops.packing_instructions.pack_on is 'The day it was made for.';
comment on column raw_ops.packing_instructions.deliver_on is 'The day on which the parcel arrives when it leaves on pack_on.';
comment on column raw_ops.packing_instructions.expected_weight_kg is 'Boxes, lining, coolant and food.';
comment on column raw_ops.packing_instructions.food_grams is 'The food that it was made for; null where nobody wrote it down.';
comment on column raw_ops.packing_instructions.postcode is 'The postcode that it was made for, as the order had it.';
comment on column raw_ops.packing_instructions.country is 'The country that it was made for, as the order had it.';

create table raw_ops.partner_contacts (
    target text not null,
    contact_name text,
    email text not null,
    cc text,
    created_at timestamp with time zone default now() not null,
    constraint partner_contacts_pkey primary key (target)
);
comment on table raw_ops.partner_contacts is 'Partner/supplier contact directory';

create table raw_ops.payment_events (
    id uuid default gen_random_uuid() not null,
    customer_id uuid not null,
    order_id uuid,
    subscription_id uuid,
    event_type text not null,
    failure_reason text,
    attempt_number integer default 1,
    amount_pence integer,
    shopify_event_id text,
    event_metadata jsonb default '{}'::jsonb,
    created_at timestamp with time zone default now() not null,
    constraint payment_events_pkey primary key (id),
    constraint payment_events_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id),
    constraint payment_events_order_id_fkey foreign key (order_id) references raw_ops.orders(id),
    constraint payment_events_subscription_id_fkey foreign key (subscription_id) references raw_ops.subscriptions(id) on delete set null
);
create index idx_payment_events_created on raw_ops.payment_events using btree (created_at desc);
create index idx_payment_events_customer on raw_ops.payment_events using btree (customer_id);
create index idx_payment_events_customer_created on raw_ops.payment_events using btree (customer_id, created_at desc);
create index idx_payment_events_type on raw_ops.payment_events using btree (event_type);
comment on table raw_ops.payment_events is 'Payment lifecycle events';

create table raw_ops.portal_sessions (
    id uuid default gen_random_uuid() not null,
    customer_id uuid not null,
    token text not null,
    created_at timestamp with time zone default now() not null,
    expires_at timestamp with time zone default now() + '7 days'::interval not null,
    last_accessed_at timestamp with time zone,
    ip_address text,
    user_agent text,
    constraint portal_sessions_pkey primary key (id),
    constraint portal_sessions_token_key unique (token),
    constraint portal_sessions_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id) on delete cascade
);
create index idx_portal_sessions_customer on raw_ops.portal_sessions using btree (customer_id);
create index idx_portal_sessions_expires on raw_ops.portal_sessions using btree (expires_at);
comment on table raw_ops.portal_sessions is 'Customer/ops portal session tracking';

create table raw_ops.privacy_requests (
    id uuid default gen_random_uuid() not null,
    topic text not null,
    inbox_id uuid not null,
    customer_id uuid,
    shopify_customer_id text,
    shopify_order_ids text[] default '{}'::text[] not null,
    received_at timestamp with time zone default now() not null,
    due_at timestamp with time zone not null,
    closed_at timestamp with time zone,
    closed_by text,
    answer text,
    constraint privacy_requests_pkey primary key (id),
    constraint privacy_requests_inbox_id_key unique (inbox_id),
    constraint privacy_requests_closed check ((closed_at is null) = (closed_by is null)),
    constraint privacy_requests_topic_check check (topic = any (array['customers/data_request'::text, 'customers/redact'::text, 'shop/redact'::text])),
    constraint privacy_requests_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id)
);
create index privacy_requests_customer on raw_ops.privacy_requests using btree (customer_id) where customer_id is not null;
create index privacy_requests_open on raw_ops.privacy_requests using btree (due_at) where closed_at is null;
comment on table raw_ops.privacy_requests is 'Requests of customers to see or erase what is kept of them';
comment on column raw_ops.privacy_requests.inbox_id is 'Its webhook, which may be forgotten before the request.';
comment on column raw_ops.privacy_requests.shopify_order_ids is 'The orders that the request names.';
comment on column raw_ops.privacy_requests.due_at is 'Thirty days after it came, by law.';

create table raw_ops.processed_3pl_files (
    id uuid default gen_random_uuid() not null,
    file_name text not null,
    file_hash text not null,
    processed_at timestamp with time zone default now() not null,
    record_count integer not null,
    source text default 'manual'::text not null,
    constraint processed_3pl_files_pkey primary key (id),
    constraint processed_3pl_files_file_hash_key unique (file_hash)
);
comment on table raw_ops.processed_3pl_files is 'Track processed 3PL import files';

create table raw_ops.products (
    id uuid default gen_random_uuid() not null,
    sku text not null,
    name text not null,
    kg numeric not null,
    is_active boolean default true not null,
    created_at timestamp with time zone default now() not null,
    constraint products_pkey primary key (id),
    constraint products_sku_key unique (sku)
);
comment on table raw_ops.products is 'Product catalog';

create table raw_ops.proof_artifacts (
    id uuid default gen_random_uuid() not null,
    batch_id uuid not null,
    proof_url text not null,
    qr_image_url text,
    proof_insert_pdf_url text,
    proof_json_url text,
    checksum text,
    generated_at timestamp with time zone default now() not null,
    constraint proof_artifacts_pkey primary key (id),
    constraint proof_artifacts_batch_id_key unique (batch_id),
    constraint proof_artifacts_batch_id_fkey foreign key (batch_id) references raw_ops.batches(id)
);
comment on table raw_ops.proof_artifacts is 'Proof portal generated assets';

create table raw_ops.proof_jobs (
    id uuid default gen_random_uuid() not null,
    batch_id uuid not null,
    job_key text not null,
    state text default 'queued'::text not null,
    attempts integer default 0 not null,
    last_error text,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    processing_duration_ms integer,
    constraint proof_jobs_pkey primary key (id),
    constraint proof_jobs_job_key_key unique (job_key),
    constraint proof_jobs_state_check check (state = any (array['queued'::text, 'running'::text, 'completed'::text, 'failed'::text])),
    constraint proof_jobs_batch_id_fkey foreign key (batch_id) references raw_ops.batches(id)
);
create index idx_proof_jobs_batch_id on raw_ops.proof_jobs using btree (batch_id, updated_at desc);
create index idx_proof_jobs_state on raw_ops.proof_jobs using btree (state, created_at);
create index idx_proof_jobs_state_created on raw_ops.proof_jobs using btree (state, created_at) where state = any (array['queued'::text, 'failed'::text]);
comment on table raw_ops.proof_jobs is 'Proof generation job tracking';
comment on column raw_ops.proof_jobs.job_key is 'One job a batch and asset, for example qr or insert.';

create table raw_ops.proof_page_events (
    id uuid default gen_random_uuid() not null,
    event_type text not null,
    batch_code text not null,
    public_batch_id text,
    referrer text,
    user_agent text,
    device_type text,
    share_method text,
    created_at timestamp with time zone default now() not null,
    constraint proof_page_events_pkey primary key (id)
);
create index idx_proof_page_events_batch on raw_ops.proof_page_events using btree (batch_code, created_at desc);
create index idx_proof_page_events_type_created on raw_ops.proof_page_events using btree (event_type, created_at desc);
comment on table raw_ops.proof_page_events is 'Proof page visitor analytics';

create table raw_ops.referral_codes (
    id uuid default gen_random_uuid() not null,
    customer_id uuid not null,
    slug text not null,
    display_name text,
    total_referrals integer default 0,
    successful_referrals integer default 0,
    total_rewards_earned_pence integer default 0,
    is_active boolean default true,
    paused_at timestamp with time zone,
    paused_reason text,
    created_at timestamp with time zone default now(),
    updated_at timestamp with time zone default now(),
    constraint referral_codes_pkey primary key (id),
    constraint referral_codes_slug_key unique (slug),
    constraint unique_customer_referral_code unique (customer_id),
    constraint referral_codes_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id)
);
create index idx_referral_codes_active on raw_ops.referral_codes using btree (is_active) where is_active;
comment on table raw_ops.referral_codes is 'Referral code definitions';

create table raw_ops.referral_events (
    id uuid default gen_random_uuid() not null,
    event_type text not null,
    referral_id uuid,
    referral_code_id uuid,
    reward_id uuid,
    order_id uuid,
    customer_id uuid,
    payload jsonb default '{}'::jsonb not null,
    created_at timestamp with time zone default now(),
    constraint referral_events_pkey primary key (id),
    constraint referral_events_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id),
    constraint referral_events_order_id_fkey foreign key (order_id) references raw_ops.orders(id),
    constraint referral_events_referral_code_id_fkey foreign key (referral_code_id) references raw_ops.referral_codes(id),
    constraint referral_events_referral_id_fkey foreign key (referral_id) references raw_ops.referrals(id),
    constraint referral_events_reward_id_fkey foreign key (reward_id) references raw_ops.referral_rewards(id)
);
create index idx_referral_events_created on raw_ops.referral_events using btree (created_at desc);
create index idx_referral_events_order_id on raw_ops.referral_events using btree (order_id) where order_id is not null;
create index idx_referral_events_referral_id on raw_ops.referral_events using btree (referral_id) where referral_id is not null;
create index idx_referral_events_type on raw_ops.referral_events using btree (event_type, created_at desc);
comment on table raw_ops.referral_events is 'Referral lifecycle events';

create table raw_ops.referral_rewards (
    id uuid default gen_random_uuid() not null,
    customer_id uuid not null,
    referral_id uuid not null,
    discount_code text not null,
    amount_pence integer default 1500 not null,
    is_used boolean default false,
    used_at timestamp with time zone,
    used_order_id uuid,
    expires_at timestamp with time zone not null,
    is_expired boolean default false,
    shopify_discount_id text,
    shopify_synced_at timestamp with time zone,
    created_at timestamp with time zone default now(),
    constraint referral_rewards_pkey primary key (id),
    constraint referral_rewards_discount_code_key unique (discount_code),
    constraint referral_rewards_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id),
    constraint referral_rewards_referral_id_fkey foreign key (referral_id) references raw_ops.referrals(id),
    constraint referral_rewards_used_order_id_fkey foreign key (used_order_id) references raw_ops.orders(id)
);
create index idx_referral_rewards_customer_id on raw_ops.referral_rewards using btree (customer_id);
create index idx_referral_rewards_expiring on raw_ops.referral_rewards using btree (expires_at) where not is_used and not is_expired;
create index idx_referral_rewards_referral_id on raw_ops.referral_rewards using btree (referral_id);
create index idx_referral_rewards_unused on raw_ops.referral_rewards using btree (customer_id, is_used, is_expired) where not is_used and not is_expired;
comment on table raw_ops.referral_rewards is 'Referral reward issuance records';
comment on column raw_ops.referral_rewards.discount_code is 'Read only: rewards are customer_credits now, these codes were given before.';

create table raw_ops.referrals (
    id uuid default gen_random_uuid() not null,
    referral_code_id uuid not null,
    referrer_customer_id uuid not null,
    referee_customer_id uuid,
    referee_email text not null,
    referee_order_id uuid,
    referee_first_delivery_at timestamp with time zone,
    status text default 'pending'::text not null,
    fraud_flags jsonb default '[]'::jsonb,
    fraud_checked_at timestamp with time zone,
    referrer_reward_id uuid,
    created_at timestamp with time zone default now(),
    confirmed_at timestamp with time zone,
    rewarded_at timestamp with time zone,
    updated_at timestamp with time zone default now(),
    credit_id uuid,
    constraint referrals_pkey primary key (id),
    constraint unique_referee_email unique (referee_email),
    constraint referrals_not_of_oneself check (referee_customer_id <> referrer_customer_id),
    constraint referrals_referee_email_check check (referee_email = lower(btrim(referee_email))),
    constraint referrals_status_check check (status = any (array['pending'::text, 'flagged'::text, 'confirmed'::text, 'rewarded'::text, 'rejected'::text, 'expired'::text])),
    constraint referrals_credit_id_fkey foreign key (credit_id) references raw_ops.customer_credits(id),
    constraint referrals_referee_customer_id_fkey foreign key (referee_customer_id) references raw_ops.customers(id),
    constraint referrals_referee_order_id_fkey foreign key (referee_order_id) references raw_ops.orders(id),
    constraint referrals_referral_code_id_fkey foreign key (referral_code_id) references raw_ops.referral_codes(id),
    constraint referrals_referrer_customer_id_fkey foreign key (referrer_customer_id) references raw_ops.customers(id),
    constraint referrals_referrer_reward_id_fkey foreign key (referrer_reward_id) references raw_ops.referral_rewards(id)
);
create index idx_referrals_credit_id on raw_ops.referrals using btree (credit_id) where credit_id is not null;
create index idx_referrals_pending on raw_ops.referrals using btree (status, created_at) where status = 'pending'::text;
create index idx_referrals_referee_customer_id on raw_ops.referrals using btree (referee_customer_id);
create index idx_referrals_referral_code_id on raw_ops.referrals using btree (referral_code_id);
create index idx_referrals_referrer_customer_id on raw_ops.referrals using btree (referrer_customer_id);
create index idx_referrals_status on raw_ops.referrals using btree (status);
comment on table raw_ops.referrals is 'Referral relationship records';
comment on column raw_ops.referrals.referee_email is 'Lower case. A person is referred once.';
comment on column raw_ops.referrals.credit_id is 'The reward in force; referrer_reward_id belongs to the codes given before.';

create table raw_ops.refunds (
    id uuid default gen_random_uuid() not null,
    created_at timestamp with time zone default now(),
    order_id uuid,
    customer_id uuid,
    support_ticket_id uuid,
    shopify_refund_id text,
    amount_gbp numeric(12,2) not null,
    refund_type text not null,
    reason text not null,
    processed_by text,
    processed_at timestamp with time zone,
    status text default 'pending'::text,
    internal_note text,
    customer_notified boolean default false,
    shopify_order_id text,
    shopify_synced boolean default false,
    shopify_synced_at timestamp with time zone,
    shopify_error text,
    notes text,
    constraint refunds_pkey primary key (id),
    constraint refunds_amount_gbp_check check (amount_gbp > 0::numeric),
    constraint refunds_status_check check (status = any (array['pending'::text, 'approved'::text, 'processing'::text, 'processed'::text, 'failed'::text, 'rejected'::text])),
    constraint refunds_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id),
    constraint refunds_order_id_fkey foreign key (order_id) references raw_ops.orders(id),
    constraint refunds_support_ticket_id_fkey foreign key (support_ticket_id) references raw_ops.support_tickets(id)
);
create index idx_refunds_created_at on raw_ops.refunds using btree (created_at desc);
create index idx_refunds_customer on raw_ops.refunds using btree (customer_id);
create index idx_refunds_order on raw_ops.refunds using btree (order_id);
create index idx_refunds_status on raw_ops.refunds using btree (status) where status = 'pending'::text;
create index idx_refunds_ticket on raw_ops.refunds using btree (support_ticket_id);
create unique index refunds_shopify_refund_id on raw_ops.refunds using btree (shopify_refund_id) where shopify_refund_id is not null;
comment on table raw_ops.refunds is 'Refund records and processing status';
comment on column raw_ops.refunds.shopify_refund_id is 'Shopify is asked with an idempotency key made of id, so a retry refunds nothing twice.';

create table raw_ops.replacement_requests (
    id uuid default gen_random_uuid() not null,
    created_at timestamp with time zone default now(),
    ticket_id uuid not null,
    customer_id uuid not null,
    original_order_id uuid not null,
    reason text not null,
    agent_notes text,
    status text default 'pending'::text,
    reviewed_at timestamp with time zone,
    reviewed_by text,
    review_notes text,
    replacement_order_id uuid,
    fulfilled_at timestamp with time zone,
    constraint replacement_requests_pkey primary key (id),
    constraint replacement_requests_status_check check (status = any (array['pending'::text, 'approved'::text, 'rejected'::text, 'fulfilled'::text, 'cancelled'::text])),
    constraint replacement_requests_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id),
    constraint replacement_requests_original_order_id_fkey foreign key (original_order_id) references raw_ops.orders(id),
    constraint replacement_requests_replacement_order_id_fkey foreign key (replacement_order_id) references raw_ops.orders(id),
    constraint replacement_requests_ticket_id_fkey foreign key (ticket_id) references raw_ops.support_tickets(id)
);
create index idx_replacement_requests_customer on raw_ops.replacement_requests using btree (customer_id);
create index idx_replacement_requests_pending on raw_ops.replacement_requests using btree (created_at) where status = 'pending'::text;
create index idx_replacement_requests_status on raw_ops.replacement_requests using btree (status);
comment on table raw_ops.replacement_requests is 'Product replacement request records';

create table raw_ops.retry_config (
    error_category text not null,
    max_attempts integer not null,
    backoff_seconds integer[] not null,
    alert_on_attempt integer,
    escalate_on_attempt integer,
    description text,
    created_at timestamp with time zone default now() not null,
    version integer default 1 not null,
    constraint retry_config_pkey primary key (error_category),
    constraint retry_config_backoff_seconds_check check (cardinality(backoff_seconds) > 0 and (0 <= all (backoff_seconds)) and array_position(backoff_seconds, null::integer) is null),
    constraint retry_config_max_attempts_check check (max_attempts > 0)
);
create trigger check_retry_policy before insert or update on raw_ops.retry_config for each row execute function engine.check_retry_policy();
create trigger keep_retry_default before delete on raw_ops.retry_config for each row when (old.error_category = 'default'::text) execute function engine.keep_retry_default();
create trigger keep_retry_policy before truncate on raw_ops.retry_config for each statement execute function engine.keep_retry_default();
create trigger note_retry_policy after insert or delete or update on raw_ops.retry_config for each row execute function engine.note_retry_policy();
comment on table raw_ops.retry_config is 'Retry policy configuration';
comment on column raw_ops.retry_config.backoff_seconds is 'Seconds before each retry; the last one repeats.';
comment on column raw_ops.retry_config.version is 'Counts the edits; each attempt records the version that decided.';

create table raw_ops.seal_webhook_inbox (
    id uuid default gen_random_uuid() not null,
    webhook_topic text not null,
    seal_subscription_id text,
    payload jsonb not null,
    headers jsonb,
    hmac_signature text,
    hmac_valid boolean,
    processing_status text default 'pending'::text,
    processing_attempts integer default 0,
    last_error text,
    error_category text,
    processed_at timestamp with time zone,
    processing_duration_ms integer,
    idempotency_key text,
    received_at timestamp with time zone default now(),
    created_at timestamp with time zone default now(),
    raw_body bytea,
    constraint seal_webhook_inbox_pkey primary key (id),
    constraint seal_webhook_inbox_idempotency_key_key unique (idempotency_key),
    constraint seal_webhook_inbox_processing_status_check check (processing_status = any (array['pending'::text, 'processing'::text, 'retrying'::text, 'success'::text, 'failed'::text, 'suspected_replay'::text, 'ignored'::text]))
);
create index idx_seal_webhook_inbox_recent on raw_ops.seal_webhook_inbox using btree (created_at desc);
create index idx_seal_webhook_inbox_retry_queue on raw_ops.seal_webhook_inbox using btree (received_at) where processing_status = any (array['pending'::text, 'failed'::text]);
create index idx_seal_webhook_inbox_status on raw_ops.seal_webhook_inbox using btree (processing_status);
create index idx_seal_webhook_inbox_subscription on raw_ops.seal_webhook_inbox using btree (seal_subscription_id);
create index idx_seal_webhook_inbox_topic on raw_ops.seal_webhook_inbox using btree (webhook_topic);
create index idx_seal_webhook_received on raw_ops.seal_webhook_inbox using btree (received_at);
create trigger trg_enqueue_process_event after update of processing_status on raw_ops.seal_webhook_inbox for each row when (new.processing_status = any (array['pending'::text, 'retrying'::text])) execute function raw_ops.enqueue_row('subscriptions.process_event', 'subscriptions', 'inbox_id', 'id', '', 'headers');
create trigger trg_enqueue_process_event_new after insert on raw_ops.seal_webhook_inbox referencing new table as new_rows for each statement execute function raw_ops.enqueue_row('subscriptions.process_event', 'subscriptions', 'inbox_id', 'id', '', 'headers', 'processing_status in (''pending'', ''retrying'')');
comment on table raw_ops.seal_webhook_inbox is 'Raw incoming Seal webhooks';
comment on column raw_ops.seal_webhook_inbox.idempotency_key is 'SHA-256 of the topic and the raw body: Seal sends no id of the delivery.';
comment on column raw_ops.seal_webhook_inbox.raw_body is 'The bytes that were signed; payload is what jsonb can hold of them.';

create table raw_ops.server_key (
    name text not null,
    key bytea not null,
    created_at timestamp with time zone default now() not null,
    constraint server_key_pkey primary key (name),
    constraint server_key_key_check check (length(key) >= 32)
);
comment on table raw_ops.server_key is 'Keys that never leave the database. Read by functions that run as their owner, and granted to nobody.';

create table raw_ops.shipments (
    id uuid default gen_random_uuid() not null,
    order_id uuid not null,
    batch_id uuid,
    courier text,
    tracking_no text,
    status raw_ops.shipment_status default 'CREATED'::raw_ops.shipment_status not null,
    dispatched_at timestamp with time zone,
    delivered_at timestamp with time zone,
    address_json jsonb,
    created_at timestamp with time zone default now() not null,
    courier_cost_gbp numeric(12,2),
    packaging_cost_gbp numeric(12,2),
    coolant_cost_gbp numeric(12,2),
    service text,
    dispatch_temp_recorded numeric,
    coolant_units_used smallint,
    courier_temp_compliance character varying(20) default 'PENDING'::character varying,
    constraint shipments_pkey primary key (id),
    constraint shipments_courier_temp_compliance_check check (courier_temp_compliance::text = any (array['PENDING'::character varying, 'COMPLIANT'::character varying, 'BREACH'::character varying, 'UNKNOWN'::character varying]::text[])),
    constraint shipments_batch_id_fkey foreign key (batch_id) references raw_ops.batches(id),
    constraint shipments_order_id_fkey foreign key (order_id) references raw_ops.orders(id)
);
create index idx_shipments_batch_id on raw_ops.shipments using btree (batch_id);
create index idx_shipments_created_at on raw_ops.shipments using btree (created_at desc);
create index idx_shipments_dispatched_at_desc on raw_ops.shipments using btree (dispatched_at desc);
create index idx_shipments_order_id on raw_ops.shipments using btree (order_id);
create index idx_shipments_status_active on raw_ops.shipments using btree (status) where status <> all (array['DELIVERED'::raw_ops.shipment_status, 'RETURNED'::raw_ops.shipment_status]);
create index idx_shipments_temp_audit on raw_ops.shipments using btree (courier_temp_compliance, created_at) where dispatch_temp_recorded is not null;
create index idx_shipments_tracking_no on raw_ops.shipments using btree (tracking_no);
create unique index idx_shipments_tracking_no_unique on raw_ops.shipments using btree (tracking_no) where tracking_no is not null and (status <> all (array['DELIVERED'::raw_ops.shipment_status, 'RETURNED'::raw_ops.shipment_status]));
create index shipments_status_dispatched_at_idx on raw_ops.shipments using btree (status, dispatched_at);
create trigger trg_decrement_inventory_on_dispatch after insert or update on raw_ops.shipments for each row when (new.status = 'DISPATCHED'::raw_ops.shipment_status) execute function raw_ops.fn_decrement_inventory_on_dispatch();
create trigger trg_shipment_figures_changed after update on raw_ops.shipments referencing old table as old_rows new table as new_rows for each statement execute function raw_ops.owe_shipment_figures();
create trigger trg_shipment_figures_emptied after truncate on raw_ops.shipments for each statement execute function raw_ops.owe_shipment_figures();
create trigger trg_shipment_figures_gone after delete on raw_ops.shipments referencing old table as old_rows for each statement execute function raw_ops.owe_shipment_figures();
create trigger trg_shipment_figures_new after insert on raw_ops.shipments referencing new table as new_rows for each statement execute function raw_ops.owe_shipment_figures();
comment on table raw_ops.shipments is 'Dispatch and tracking data';
comment on column raw_ops.shipments.batch_id is 'Set when all of the parcel is of one batch; otherwise the allocations of the order say it.';
comment on column raw_ops.shipments.tracking_no is 'Carriers use numbers again within months: unique among parcels on the way; match the newest.';
comment on column raw_ops.shipments.dispatch_temp_recorded is 'Degrees Celsius.';

create table raw_ops.soft_reservations (
    order_id uuid not null,
    batch_id uuid not null,
    units integer not null,
    expires_at timestamp with time zone not null,
    created_at timestamp with time zone default now() not null,
    constraint soft_reservations_pkey primary key (order_id, batch_id),
    constraint soft_reservations_units_check check (units > 0),
    constraint soft_reservations_batch_id_fkey foreign key (batch_id) references raw_ops.batches(id),
    constraint soft_reservations_order_id_fkey foreign key (order_id) references raw_ops.orders(id)
);
create index soft_reservations_batch on raw_ops.soft_reservations using btree (batch_id);
create index soft_reservations_expiry on raw_ops.soft_reservations using btree (expires_at);
comment on table raw_ops.soft_reservations is 'Units that orders which are not paid yet hold for a while; batches.qty_soft_reserved is their sum.';

create table raw_ops.stock_dispatches (
    allocation_id uuid not null,
    shipment_id uuid not null,
    qty numeric not null,
    dispatched_at timestamp with time zone default now() not null,
    constraint stock_dispatches_pkey primary key (allocation_id),
    constraint stock_dispatches_qty_check check (qty > 0::numeric),
    constraint stock_dispatches_allocation_id_fkey foreign key (allocation_id) references raw_ops.allocations(id),
    constraint stock_dispatches_shipment_id_fkey foreign key (shipment_id) references raw_ops.shipments(id)
);
create index idx_stock_dispatches_shipment on raw_ops.stock_dispatches using btree (shipment_id);
comment on table raw_ops.stock_dispatches is 'Allocations whose stock has left with a shipment';

create table raw_ops.subscription_actions (
    id uuid default gen_random_uuid() not null,
    customer_id uuid not null,
    subscription_id uuid,
    action_type text not null,
    action_data jsonb default '{}'::jsonb,
    source text default 'portal'::text not null,
    created_at timestamp with time zone default now() not null,
    seal_synced boolean default false,
    email_sent boolean default false,
    constraint subscription_actions_pkey primary key (id),
    constraint subscription_actions_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id),
    constraint subscription_actions_subscription_id_fkey foreign key (subscription_id) references raw_ops.subscriptions(id)
);
create index idx_subscription_actions_created on raw_ops.subscription_actions using btree (created_at desc);
create index idx_subscription_actions_customer on raw_ops.subscription_actions using btree (customer_id);
create index idx_subscription_actions_subscription on raw_ops.subscription_actions using btree (subscription_id);
create index idx_subscription_actions_type on raw_ops.subscription_actions using btree (action_type);
comment on table raw_ops.subscription_actions is 'Subscription modification actions';

create table raw_ops.subscription_config (
    config_key text not null,
    config_value text not null,
    description text,
    updated_at timestamp with time zone default now(),
    updated_by text,
    constraint subscription_config_pkey primary key (config_key)
);
comment on table raw_ops.subscription_config is 'Subscription configuration parameters';

create table raw_ops.subscription_events (
    id uuid default gen_random_uuid() not null,
    subscription_id uuid,
    seal_subscription_id text,
    customer_id uuid,
    event_type text not null,
    event_source text not null,
    old_status text,
    new_status text,
    payload jsonb,
    event_at timestamp with time zone not null,
    created_at timestamp with time zone default now(),
    constraint subscription_events_pkey primary key (id),
    constraint subscription_events_event_type_check check (event_type = lower(event_type)),
    constraint subscription_events_new_status_check check (new_status = lower(new_status)),
    constraint subscription_events_old_status_check check (old_status = lower(old_status)),
    constraint subscription_events_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id),
    constraint subscription_events_subscription_id_fkey foreign key (subscription_id) references raw_ops.subscriptions(id)
);
create index idx_sub_events_at on raw_ops.subscription_events using btree (event_at desc);
create index idx_sub_events_customer on raw_ops.subscription_events using btree (customer_id);
create index idx_sub_events_sub on raw_ops.subscription_events using btree (subscription_id);
create index idx_sub_events_type on raw_ops.subscription_events using btree (event_type);
create index idx_subscription_events_created on raw_ops.subscription_events using btree (created_at desc);
create index idx_subscription_events_customer_recent on raw_ops.subscription_events using btree (customer_id, created_at desc);
create index idx_subscription_events_seal_id on raw_ops.subscription_events using btree (seal_subscription_id);
create index idx_subscription_events_type_created on raw_ops.subscription_events using btree (event_type, created_at desc);
comment on table raw_ops.subscription_events is 'Immutable log of all subscription changes';
comment on column raw_ops.subscription_events.event_type is 'Dots and lower case: subscription.paused, billing_attempt.failed.';

create table raw_ops.subscriptions (
    id uuid default gen_random_uuid() not null,
    customer_id uuid not null,
    shopify_subscription_id text not null,
    seal_subscription_id text,
    status text default 'active'::text not null,
    frequency_weeks integer default 4 not null,
    price_gbp numeric(12,2) not null,
    next_billing_date date,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    paused_at timestamp with time zone,
    cancelled_at timestamp with time zone,
    box_size text default '12kg'::text,
    shipping_address text,
    email text,
    card_brand text,
    card_last_digits text,
    card_expiry_month integer,
    card_expiry_year integer,
    payment_status text default 'healthy'::text,
    failed_payment_count integer default 0,
    last_failed_at timestamp with time zone,
    dunning_started_at timestamp with time zone,
    last_synced_at timestamp with time zone default now(),
    seal_payload jsonb,
    reminder_7day_sent_at timestamp with time zone,
    reminder_48hour_sent_at timestamp with time zone,
    dunning_email_day0_sent boolean default false,
    dunning_email_day3_sent boolean default false,
    dunning_email_day7_sent boolean default false,
    dunning_email_day10_sent boolean default false,
    last_error_message text,
    pause_reason text,
    seal_internal_id text,
    shopify_customer_id bigint,
    delivery_interval text,
    billing_interval text,
    variant_id bigint,
    currency text default 'GBP'::text,
    subscription_created_at timestamp with time zone,
    frequency_is_approximate boolean default false not null,
    seal_updated_at timestamp with time zone,
    constraint subscriptions_pkey primary key (id),
    constraint subscriptions_shopify_subscription_id_key unique (shopify_subscription_id),
    constraint subscriptions_card_expiry_month_check check (card_expiry_month >= 1 and card_expiry_month <= 12),
    constraint subscriptions_currency_check check (currency ~ '^[A-Z]{3}$'::text),
    constraint subscriptions_frequency_weeks_check check (frequency_weeks > 0),
    constraint subscriptions_payment_status_check check (payment_status = any (array['healthy'::text, 'failing'::text, 'failed'::text])),
    constraint subscriptions_status_check check (status = any (array['active'::text, 'paused'::text, 'cancelled'::text, 'expired'::text])),
    constraint subscriptions_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id)
);
create index idx_subscriptions_card_expiry on raw_ops.subscriptions using btree (card_expiry_year, card_expiry_month) where status = 'active'::text;
create index idx_subscriptions_customer on raw_ops.subscriptions using btree (customer_id);
create index idx_subscriptions_dunning on raw_ops.subscriptions using btree (dunning_started_at) where dunning_started_at is not null;
create index idx_subscriptions_dunning_active on raw_ops.subscriptions using btree (dunning_started_at, last_failed_at) where (payment_status = any (array['failing'::text, 'failed'::text])) and status = 'active'::text;
create index idx_subscriptions_payment_status on raw_ops.subscriptions using btree (payment_status) where payment_status <> 'healthy'::text;
create index idx_subscriptions_status on raw_ops.subscriptions using btree (status);
create unique index subscriptions_seal_subscription_id on raw_ops.subscriptions using btree (seal_subscription_id) where seal_subscription_id is not null;
create trigger trg_subscription_figures_changed after update on raw_ops.subscriptions referencing old table as old_rows new table as new_rows for each statement execute function raw_ops.owe_subscription_figures();
create trigger trg_subscription_figures_emptied after truncate on raw_ops.subscriptions for each statement execute function raw_ops.owe_subscription_figures();
create trigger trg_subscription_figures_gone after delete on raw_ops.subscriptions referencing old table as old_rows for each statement execute function raw_ops.owe_subscription_figures();
create trigger trg_subscription_figures_new after insert on raw_ops.subscriptions referencing new table as new_rows for each statement execute function raw_ops.owe_subscription_figures();
comment on table raw_ops.subscriptions is 'Local cache of Seal subscription state';
comment on column raw_ops.subscriptions.shopify_subscription_id is 'The contract''s id, or "seal:" and Seal''s id where Shopify has none.';
comment on column raw_ops.subscriptions.seal_subscription_id is 'The natural key: Seal''s id.';
comment on column raw_ops.subscriptions.status is 'Lower case; Seal sends upper case.';
comment on column raw_ops.subscriptions.frequency_weeks is 'Rounded from delivery_interval, which is the truth ("1 month", "15 days").';
comment on column raw_ops.subscriptions.card_expiry_year is 'Four digits. The card is good until the end of the month.';
comment on column raw_ops.subscriptions.dunning_started_at is 'The first failure of the billing cycle; days 0, 3, 7 and 10 are counted from it.';
comment on column raw_ops.subscriptions.dunning_email_day0_sent is 'Shows the current cycle only, as the three after it; email_events says what was sent when.';
comment on column raw_ops.subscriptions.frequency_is_approximate is 'delivery_interval is no whole number of weeks.';
comment on column raw_ops.subscriptions.seal_updated_at is 'The age of the newest document of Seal: the newest time in it.';

create table raw_ops.support_tickets (
    id uuid default gen_random_uuid() not null,
    customer_id uuid,
    customer_email text not null,
    source text default 'email'::text,
    subject text,
    body text,
    attachments jsonb,
    ai_category text,
    ai_confidence numeric,
    ai_draft_response text,
    ai_recommended_action text,
    ai_escalation_reason text,
    status text default 'pending'::text,
    final_response text,
    resolution_action text,
    resolved_by text,
    related_batch_code text,
    related_order_id uuid,
    created_at timestamp with time zone default now(),
    ai_processed_at timestamp with time zone,
    human_reviewed_at timestamp with time zone,
    resolved_at timestamp with time zone,
    response_sent_at timestamp with time zone,
    approved_by text,
    approved_at timestamp with time zone,
    response_channel text,
    edit_reason text,
    original_draft text,
    crisp_session_id text,
    is_pre_purchase boolean default true,
    assigned_to text,
    response_method text,
    human_edited boolean default false,
    edit_distance integer,
    actions_taken jsonb default '[]'::jsonb,
    replacement_order_id text,
    first_viewed_at timestamp with time zone,
    internal_notes jsonb default '[]'::jsonb,
    outbound_reason text,
    is_outbound boolean default false,
    reply_count integer default 0,
    last_customer_reply_at timestamp with time zone,
    resolution_type text,
    resolution_category text,
    resolution_summary text,
    draft_usage text,
    last_response_at timestamp with time zone,
    email_message_id text,
    email_references text,
    csat_survey_scheduled_for timestamp with time zone,
    csat_survey_sent_at timestamp with time zone,
    csat_survey_token text,
    constraint support_tickets_pkey primary key (id),
    constraint support_tickets_status_check check (status = any (array['pending'::text, 'in_progress'::text, 'awaiting_customer'::text, 'escalated'::text, 'resolved'::text, 'closed'::text])),
    constraint support_tickets_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id),
    constraint support_tickets_related_order_id_fkey foreign key (related_order_id) references raw_ops.orders(id) on delete set null
);
create index idx_support_tickets_csat_ready on raw_ops.support_tickets using btree (csat_survey_scheduled_for) where csat_survey_scheduled_for is not null and csat_survey_sent_at is null;
create index idx_support_tickets_customer on raw_ops.support_tickets using btree (customer_id);
create index idx_support_tickets_outbound on raw_ops.support_tickets using btree (is_outbound, status) where is_outbound;
create index idx_support_tickets_resolution_type on raw_ops.support_tickets using btree (resolution_type) where resolution_type is not null;
create index idx_support_tickets_status_open on raw_ops.support_tickets using btree (status) where status <> all (array['resolved'::text, 'closed'::text]);
create index idx_tickets_ai_category on raw_ops.support_tickets using btree (ai_category);
create index idx_tickets_batch on raw_ops.support_tickets using btree (related_batch_code) where related_batch_code is not null;
create index idx_tickets_batch_recent on raw_ops.support_tickets using btree (related_batch_code, created_at desc) where ai_category = 'quality'::text;
create index idx_tickets_created on raw_ops.support_tickets using btree (created_at desc);
create index idx_tickets_crisp_session on raw_ops.support_tickets using btree (crisp_session_id) where crisp_session_id is not null;
create index idx_tickets_pending_queue on raw_ops.support_tickets using btree (status, created_at) where status = 'pending'::text;
create index idx_tickets_priority_queue on raw_ops.support_tickets using btree (status, ai_escalation_reason, ai_confidence, created_at);
create index idx_tickets_status on raw_ops.support_tickets using btree (status);
create index idx_tickets_status_created on raw_ops.support_tickets using btree (status, created_at);
comment on table raw_ops.support_tickets is 'Customer support requests';
comment on column raw_ops.support_tickets.ai_category is 'A copy of the latest cs_agent_decisions row, with the other ai_ columns.';
comment on column raw_ops.support_tickets.email_message_id is 'The Message-ID of the mail that opened the ticket, for threading.';
comment on column raw_ops.support_tickets.csat_survey_token is 'Asked only of tickets with a customer: csat_responses needs one.';

create table raw_ops.system_config (
    key text not null,
    value text not null,
    created_at timestamp with time zone default now(),
    updated_at timestamp with time zone default now(),
    constraint system_config_pkey primary key (key)
);
comment on table raw_ops.system_config is 'System-level configuration';

create table raw_ops.temperature_audits (
    id uuid default gen_random_uuid() not null,
    shipment_id uuid not null,
    logger_core_csv_url text,
    logger_corner_csv_url text,
    arrival_core_celsius numeric,
    arrival_corner_celsius numeric,
    pass_class text,
    created_at timestamp with time zone default now() not null,
    constraint temperature_audits_pkey primary key (id),
    constraint temperature_audits_shipment_id_fkey foreign key (shipment_id) references raw_ops.shipments(id)
);
create index temperature_audits_shipment on raw_ops.temperature_audits using btree (shipment_id);
comment on table raw_ops.temperature_audits is 'Temperature monitoring audit records';

create table raw_ops.temperature_logger_data (
    id bigint generated by default as identity,
    order_id uuid,
    shipment_id uuid,
    logger_id text not null,
    logger_type text default 'USB'::text,
    readings jsonb not null,
    min_temp_c numeric,
    max_temp_c numeric,
    avg_temp_c numeric,
    time_above_5c_minutes integer,
    time_above_10c_minutes integer,
    trip_start_at timestamp with time zone,
    trip_end_at timestamp with time zone,
    trip_duration_hours numeric,
    cold_chain_intact boolean,
    breach_detected boolean default false,
    breach_details text,
    data_uploaded_at timestamp with time zone default now(),
    data_source text,
    raw_file_url text,
    created_at timestamp with time zone default now(),
    inbox_id uuid,
    constraint temperature_logger_data_pkey primary key (id),
    constraint temperature_logger_data_inbox_id_key unique (inbox_id),
    constraint temperature_logger_data_order_id_fkey foreign key (order_id) references raw_ops.orders(id),
    constraint temperature_logger_data_shipment_id_fkey foreign key (shipment_id) references raw_ops.shipments(id)
);
create index idx_temp_logger_cold_chain_intact on raw_ops.temperature_logger_data using btree (cold_chain_intact);
create index idx_temp_logger_logger_id on raw_ops.temperature_logger_data using btree (logger_id);
create index idx_temp_logger_order_id on raw_ops.temperature_logger_data using btree (order_id);
create index idx_temp_logger_shipment_id on raw_ops.temperature_logger_data using btree (shipment_id);
create index idx_temp_logger_uploaded_at on raw_ops.temperature_logger_data using btree (data_uploaded_at desc);
comment on table raw_ops.temperature_logger_data is 'Raw temperature logger readings';
comment on column raw_ops.temperature_logger_data.time_above_5c_minutes is 'For chilled goods; thresholds for frozen goods are settings.';
comment on column raw_ops.temperature_logger_data.inbox_id is 'Its file, which may be forgotten before the readings.';

create table raw_ops.testimonials (
    id uuid default gen_random_uuid() not null,
    customer_id uuid not null,
    source_ticket_id uuid,
    source_type text default 'email_reply'::text not null,
    original_text text not null,
    approved_quote text,
    display_city text,
    status text default 'flagged'::text not null,
    flagged_at timestamp with time zone default now(),
    flagged_by text,
    request_sent_at timestamp with time zone,
    request_email_delivery_id text,
    approved_at timestamp with time zone,
    approval_method text,
    is_featured boolean default false,
    display_order integer,
    created_at timestamp with time zone default now(),
    updated_at timestamp with time zone default now(),
    constraint testimonials_pkey primary key (id),
    constraint testimonials_status_check check (status = any (array['flagged'::text, 'requested'::text, 'approved'::text, 'declined'::text])),
    constraint testimonials_customer_id_fkey foreign key (customer_id) references raw_ops.customers(id),
    constraint testimonials_source_ticket_id_fkey foreign key (source_ticket_id) references raw_ops.support_tickets(id)
);
create index idx_testimonials_customer on raw_ops.testimonials using btree (customer_id);
create index idx_testimonials_featured on raw_ops.testimonials using btree (is_featured) where status = 'approved'::text and is_featured;
create index idx_testimonials_status on raw_ops.testimonials using btree (status);
comment on table raw_ops.testimonials is 'Customer testimonials and reviews';

create table raw_ops.ticket_messages (
    id uuid default gen_random_uuid() not null,
    ticket_id uuid not null,
    direction text not null,
    sender text not null,
    subject text,
    body text not null,
    delivery_id text,
    created_at timestamp with time zone default now(),
    email_message_id text,
    constraint ticket_messages_pkey primary key (id),
    constraint ticket_messages_ticket_id_fkey foreign key (ticket_id) references raw_ops.support_tickets(id)
);
create index idx_ticket_messages_created_at on raw_ops.ticket_messages using btree (created_at desc);
create index idx_ticket_messages_ticket_id on raw_ops.ticket_messages using btree (ticket_id);
comment on table raw_ops.ticket_messages is 'Full conversation history per ticket';
comment on column raw_ops.ticket_messages.delivery_id is 'Customer.io''s id of an outbound mail; the Message-ID is learnt from the reply.';

create table raw_ops.ticket_notes (
    id uuid default gen_random_uuid() not null,
    ticket_id uuid not null,
    note_type text default 'internal'::text not null,
    content text not null,
    created_by text,
    created_at timestamp with time zone default now(),
    constraint ticket_notes_pkey primary key (id),
    constraint ticket_notes_ticket_id_fkey foreign key (ticket_id) references raw_ops.support_tickets(id)
);
create index idx_ticket_notes_ticket_id on raw_ops.ticket_notes using btree (ticket_id);
comment on table raw_ops.ticket_notes is 'Internal agent notes on tickets';

create table raw_ops.webhook_inbox (
    id uuid default gen_random_uuid() not null,
    received_at timestamp with time zone default now() not null,
    topic text not null,
    shopify_order_id bigint,
    shopify_order_number text,
    raw_headers jsonb not null,
    raw_payload jsonb not null,
    hmac_verified boolean default false,
    processing_status text default 'pending'::text not null,
    processed_at timestamp with time zone,
    processing_time_ms integer,
    processing_attempts integer default 0 not null,
    last_error text,
    last_error_at timestamp with time zone,
    error_category text,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    processing_duration_ms integer,
    source text default 'shopify'::text not null,
    shop text default ''::text not null,
    webhook_id text,
    event_id text,
    triggered_at timestamp with time zone,
    raw_body bytea,
    body_sha256 bytea,
    replay_of uuid,
    constraint webhook_inbox_pkey primary key (id),
    constraint webhook_inbox_delivery_key unique (source, shop, webhook_id),
    constraint webhook_inbox_body_sha256_check check (length(body_sha256) = 32),
    constraint webhook_inbox_processing_status_check check (processing_status = any (array['pending'::text, 'processing'::text, 'retrying'::text, 'success'::text, 'failed'::text, 'suspected_replay'::text, 'ignored'::text])),
    constraint webhook_inbox_replay_of_fkey foreign key (replay_of) references raw_ops.webhook_inbox(id) on delete set null
);
create index idx_inbox_pending on raw_ops.webhook_inbox using btree (received_at) where processing_status = any (array['pending'::text, 'failed'::text, 'retrying'::text]);
create index idx_inbox_shopify_order on raw_ops.webhook_inbox using btree (shopify_order_id);
create index idx_inbox_status on raw_ops.webhook_inbox using btree (processing_status, received_at);
create index idx_webhook_inbox_body on raw_ops.webhook_inbox using btree (source, shop, topic, body_sha256, received_at) where body_sha256 is not null;
create index idx_webhook_inbox_replay_of on raw_ops.webhook_inbox using btree (replay_of) where replay_of is not null;
create index idx_webhook_inbox_shopify_order on raw_ops.webhook_inbox using btree (shopify_order_id) where shopify_order_id is not null;
create index idx_webhook_inbox_status on raw_ops.webhook_inbox using btree (processing_status, created_at);
create index webhook_inbox_errors on raw_ops.webhook_inbox using btree (received_at) where last_error is not null;
create index webhook_inbox_processed on raw_ops.webhook_inbox using btree (processed_at) where processing_status = 'success'::text;
create index webhook_inbox_received on raw_ops.webhook_inbox using btree (received_at);
create index webhook_inbox_waiting_scans on raw_ops.webhook_inbox using btree ((raw_payload ->> 'tracking_no'::text)) where source = 'courier'::text and (processing_status = any (array['pending'::text, 'processing'::text, 'retrying'::text, 'failed'::text]));
create trigger trg_enqueue_webhooks after update of processing_status on raw_ops.webhook_inbox for each row when (new.processing_status = any (array['pending'::text, 'retrying'::text])) execute function raw_ops.enqueue_webhooks();
create trigger trg_enqueue_webhooks_new after insert on raw_ops.webhook_inbox referencing new table as new_rows for each statement execute function raw_ops.enqueue_webhooks();
comment on table raw_ops.webhook_inbox is 'All incoming webhooks with processing status';
comment on column raw_ops.webhook_inbox.raw_payload is 'The body as far as jsonb can hold it; jsonb null when it is no JSON. raw_body is the truth.';
comment on column raw_ops.webhook_inbox.processing_duration_ms is 'Work of the attempt that succeeded; processing_time_ms is filled equal.';
comment on column raw_ops.webhook_inbox.shop is 'The shop that the route''s secret belongs to, never a header''s word; empty where a source has none.';
comment on column raw_ops.webhook_inbox.webhook_id is 'The sender''s id of the delivery, the same over its retries; null where a source has none.';
comment on column raw_ops.webhook_inbox.event_id is 'The sender''s id of the event, shared by its deliveries.';
comment on column raw_ops.webhook_inbox.replay_of is 'The earlier row with the same source, shop, topic and body.';

-- Views

create view engine.attempt_figures as
select outcome, category, sum(ended)::bigint as ended
from engine.attempt_minute
where minute > (select engine.now()) - interval '1 hour'
group by 1, 2;
comment on view engine.attempt_figures is 'Attempts that ended in the last hour, by outcome and category.';

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

create view engine.dead_letter_queue as
select id, source, topic, payload, error_message, retries, created_at, resolved, resolved_at, job_id, queue, category,
    fingerprint, attempts, priority, unique_key, limit_key, requeued_job_id, resolved_by, resolution
from raw_ops.dead_letter_queue;
comment on view engine.dead_letter_queue is 'Jobs that ended without success and wait for a person.';

create view engine.duty_health as
select d.name, d.period_ms, d.succeeded_at, d.failed_at, d.failures, d.error, d.took_ms, d.did, d.worker_id, d.term,
    greatest(extract(epoch from (select engine.now()) - coalesce(d.succeeded_at, d.since)), 0)::float8 as seconds_since_success,
    coalesce(d.succeeded_at, d.since) < (select engine.now()) - (5 * d.period_ms + 30000) * interval '1 millisecond' as overdue
from engine.duty d
offset 0;
comment on view engine.duty_health is 'Duties and how they are; overdue after five periods and half a minute without a success.';

create view engine.job_state as
select
    j.id, l.queue, l.kind, l.priority, j.created_at, j.args, j.unique_key, j.limit_key, j.parent_id, j.requeued_from,
    coalesce(r.attempt, s.attempt, c.attempt, p.attempt, w.attempt, a.attempt) as attempt,
    coalesce(s.run_at, p.wake_at) as run_at, c.worker_id, c.claimed_at, a.finished_at, a.category, a.error, a.output,
    case
        when r.attempt is not null then 'ready'
        when s.attempt is not null then 'scheduled'
        when c.attempt is not null then 'running'
        when p.attempt is not null then 'parked'
        when w.attempt is not null then 'waiting'
        when a.outcome in ('completed', 'cancelled', 'dead') then a.outcome
        else 'missing'
    end as state
from engine.job j
join engine.lane l on l.id = j.lane_id
left join lateral (
    select attempt from engine.ready where lane_id = j.lane_id and position = j.id
    union all
    select attempt from engine.ready where job_id = j.id and position <> job_id
    limit 1
) r on true
left join engine.scheduled s on s.job_id = j.id
left join engine.parked p on p.job_id = j.id
left join lateral (
    select u.attempt, k.worker_id, k.claimed_at
    from engine.claim k, unnest(k.ids, k.attempts) u (id, attempt)
    where k.ids @> array[j.id] and u.id = j.id
      and not exists (select from engine.attempt d where d.job_id = u.id and d.attempt = u.attempt)
    limit 1
) c on true
left join lateral (
    select attempt from engine.waiting where position = j.id and j.limit_key is not null
    union all
    select attempt from engine.waiting where job_id = j.id and position <> job_id and j.limit_key is not null
    limit 1
) w on true
left join lateral (
    select * from engine.attempt where job_id = j.id order by attempt desc limit 1
) a on true;
comment on view engine.job_state is 'Where each job stands. Ask by id, or with a limit: it looks into every place for each job.';

create view engine.paused as
select scope, name, starts_at as since, ends_at as until, paused_by, reason
from engine.pause
where resumed_at is null and starts_at <= (select engine.now()) and (ends_at is null or ends_at > (select engine.now()))
union all
select 'queue', name, null, null, 'whoever set engine.queue.paused', null
from engine.queue where paused;
comment on view engine.paused is 'What is held at this moment.';

create view engine.place as
select job_id, attempt, 'ready' as name from engine.ready
union all
select job_id, attempt, 'scheduled' from engine.scheduled
union all
select job_id, attempt, 'waiting' from engine.waiting
union all
select u.job_id, u.attempt, format('claim %s of worker %s', c.id, c.worker_id)
from engine.claim c, unnest(c.ids, c.attempts) u (job_id, attempt)
where not exists (select from engine.attempt a where a.job_id = u.job_id and a.attempt = u.attempt)
union all
select job_id, attempt, 'parked' from engine.parked;
comment on view engine.place is 'Every place that a job stands in, and the attempt that comes next there. Reads every place whole.';

create view engine.place_figures as
select
    (select coalesce(sum(f.scheduled), 0)::bigint from engine.lane_figures f) as scheduled,
    m.claims, m.dead, m.claimed,
    extract(epoch from (select engine.now()) - m.measured_at)::float8 as age_seconds
from engine.measured m
-- So that nobody can write through it.
offset 0;
comment on view engine.place_figures is 'How many jobs stand elsewhere than in ready, and how old all figures are.';

create view engine.queue_figures as
select l.queue, coalesce(sum(f.ready), 0)::bigint as depth,
    greatest(coalesce(extract(epoch from (select engine.now()) - min(f.oldest_at)), 0), 0)::float8 as oldest_seconds,
    coalesce(sum(f.scheduled), 0)::bigint as scheduled
from engine.lane l
left join engine.lane_figures f on f.lane_id = l.id
group by l.queue;
comment on view engine.queue_figures is 'Depth and oldest age of each queue, as last measured.';

create view engine.retry_config as
select error_category, max_attempts, backoff_seconds, alert_on_attempt, escalate_on_attempt, description, version
from raw_ops.retry_config;
comment on view engine.retry_config is 'The retry policy by error category.';

create view engine.workflow_state as
select
    w.job_id, j.queue, j.kind, j.state, j.attempt, j.created_at, j.run_at as wakes_at, j.finished_at, j.category, j.error,
    w.steps, s.kind as last_act, s.name as last_name,
    p.waits_for, e.name as event, e.key as event_key,
    coalesce(o.children, 0) as children_open, coalesce(d.children, 0) as children_ended,
    coalesce(c.noted, 0) as compensations, coalesce(c.undone, 0) as undone,
    r.restarted_from
from (select job_id, count(*)::integer as steps, max(position) as last from engine.step group by job_id) w
join engine.job_state j on j.id = w.job_id
join engine.step s on s.job_id = w.job_id and s.position = w.last
left join engine.parked p on p.job_id = w.job_id
left join engine.event_wait e on e.job_id = w.job_id and p.waits_for = 'event'
left join engine.restart r on r.job_id = w.job_id
left join lateral (select count(*)::integer as children from engine.child where parent_id = w.job_id) o on true
left join lateral (select count(*)::integer as children from engine.child_end where parent_id = w.job_id) d on true
left join lateral (
    select count(*)::integer as noted, count(undone_at)::integer as undone from engine.compensation where job_id = w.job_id
) c on true;
comment on view engine.workflow_state is 'Where each workflow stands and what it waits for. Ask by job_id: it looks into every place for each one.';

create view raw_ops.alert_retry_queue_backup as
select
    'retry_queue_backup' as alert, 'warning' as severity, q.depth, q.oldest_received_at, q.oldest_age, l.max_depth, l.max_minutes,
    format('%s webhooks wait, the oldest for %s minutes', q.depth, floor(extract(epoch from q.oldest_age) / 60)) as message
from raw_ops.v_retry_queue_depth q
cross join (
    select
        coalesce((select value_numeric from raw_ops.config where key = 'order_ingestion.max_waiting'), 100)     as max_depth,
        coalesce((select value_numeric from raw_ops.config where key = 'order_ingestion.max_age_minutes'), 30)  as max_minutes
) l
where q.depth > l.max_depth or q.oldest_age > l.max_minutes * interval '1 minute';
comment on view raw_ops.alert_retry_queue_backup is 'Webhook queue alert: a row while more than 100 wait, or one for more than 30 minutes';

create view raw_ops.alert_slow_processing as
select
    'slow_processing' as alert, 'warning' as severity, t.processed, t.p95_ms, t.max_ms, l.max_p95_ms, l.max_max_ms,
    format('of %s webhooks of the last hour 5 %% took %s ms or longer, the slowest %s ms', t.processed, t.p95_ms, t.max_ms) as message
from (
    select
        count(*)                                                                as processed,
        percentile_disc(0.95) within group (order by i.processing_duration_ms)  as p95_ms,
        max(i.processing_duration_ms)                                           as max_ms
    from raw_ops.webhook_inbox i
    where i.processing_status = 'success'
      and i.processed_at > (select engine.now()) - interval '1 hour' and i.processed_at <= (select engine.now())
) t
cross join (
    select
        coalesce((select value_numeric from raw_ops.config where key = 'order_ingestion.max_p95_ms'), 5000) as max_p95_ms,
        coalesce((select value_numeric from raw_ops.config where key = 'order_ingestion.max_ms'), 10000)    as max_max_ms
) l
where t.p95_ms > l.max_p95_ms or t.max_ms > l.max_max_ms;
comment on view raw_ops.alert_slow_processing is 'Performance alert: a row while the 95th percentile is above 5 s, or the slowest above 10 s';

create view raw_ops.v_customer_context as
select
    c.id as customer_id, c.shopify_customer_id, c.email, c.first_name, c.last_name, c.phone, c.city, c.postcode, c.persona,
    c.marketing_opt_in, c.created_at,
    coalesce(f.orders, 0) as orders, coalesce(f.lifetime_value_gbp, 0) as lifetime_value_gbp, f.first_order_at, f.last_order_at,
    f.newest_order_id, f.newest_order_label, f.newest_order_status,
    coalesce(f.active_subscriptions, 0) as active_subscriptions, f.subscription_id, f.subscription_status, f.box_size, f.frequency_weeks,
    f.next_billing_date, f.payment_status,
    f.newest_shipment_id, f.newest_shipment_status, f.courier, f.tracking_no, f.dispatched_at, f.delivered_at
from raw_ops.customers c
left join raw_ops.customer_figures f on f.customer_id = c.id;
comment on view raw_ops.v_customer_context is 'Full customer view';
comment on column raw_ops.v_customer_context.orders is 'Paid for and not cancelled; so are the money and the two dates after it, the money without refunded orders.';
comment on column raw_ops.v_customer_context.subscription_id is 'The active one, else a paused one, else the newest.';

create view raw_ops.v_daily_snapshot_health as
select
    l.run_at as last_run_at, l.status as last_status, l.duration_ms as last_duration_ms, l.error_message as last_error,
    s.last_success_at, w.runs_7d, w.failed_7d, d.last_digest_at,
    s.last_success_at is null or s.last_success_at <= (select engine.now()) - interval '25 hours' as is_overdue
from (
    select count(*) as runs_7d, count(*) filter (where status = 'error') as failed_7d
    from raw_ops.monitoring_runs
    where check_name = 'daily_snapshot'
      and run_at > (select engine.now()) - interval '7 days' and run_at <= (select engine.now())
) w
cross join (
    select max(run_at) as last_success_at from raw_ops.monitoring_runs where check_name = 'daily_snapshot' and status = 'success'
) s
cross join (
    select max(sent_at) as last_digest_at
    from raw_ops.alert_log
    where channel = 'daily-ops' and source_check = 'daily_snapshot' and delivery_status = 'sent'
) d
left join lateral (
    select r.run_at, r.status, r.duration_ms, r.error_message
    from raw_ops.monitoring_runs r
    where r.check_name = 'daily_snapshot'
    order by r.run_at desc
    limit 1
) l on true;
comment on view raw_ops.v_daily_snapshot_health is 'Snapshot function health';
comment on column raw_ops.v_daily_snapshot_health.is_overdue is 'No success within a day and an hour; also when it never ran.';

create view raw_ops.v_error_summary as
select
    coalesce(i.error_category, 'unknown')                               as error_category,
    p.pattern,
    count(*)                                                            as webhooks,
    count(*) filter (where i.processing_status in ('pending', 'processing', 'failed', 'retrying')) as waiting,
    min(i.received_at)                                                  as first_received_at,
    max(i.received_at)                                                  as last_received_at,
    max(i.last_error_at)                                                as last_error_at,
    (array_agg(i.id order by i.received_at desc, i.id))[1]              as newest_inbox_id,
    (array_agg(left(i.last_error, 500) order by i.received_at desc, i.id))[1] as newest_error
from raw_ops.webhook_inbox i
cross join lateral (
    select left(regexp_replace(i.last_error, '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}|[0-9]+([.][0-9]+)?', '#', 'g'), 160) as pattern
) p
where i.last_error is not null
  and i.received_at > (select engine.now()) - interval '7 days' and i.received_at <= (select engine.now())
group by 1, 2;
comment on view raw_ops.v_error_summary is 'Error patterns by category';
comment on column raw_ops.v_error_summary.webhooks is 'Received in the last seven days, whatever became of them.';

create view raw_ops.v_inventory_status as
select
    b.id as batch_id, b.batch_code, b.product_id, p.sku, p.name as product, b.status, b.expiry_date,
    b.expiry_date - d.today as days_to_expiry,
    q.on_hand as units_on_hand, q.reserved as units_reserved, coalesce(b.qty_soft_reserved, 0) as units_soft_reserved,
    case when b.status = 'RELEASED' and (b.expiry_date is null or b.expiry_date >= d.today + d.min_shelf_days)
        then greatest(floor(q.on_hand - q.reserved - coalesce(b.qty_soft_reserved, 0)), 0) else 0 end as units_free,
    q.on_hand * p.kg as kg_expected, i.kg as kg_recorded, i.kg - q.on_hand * p.kg as kg_drift, i.locations
from raw_ops.batches b
cross join lateral (select coalesce(b.qty_on_hand, 0) as on_hand, coalesce(b.qty_reserved, 0) as reserved) q
cross join (
    select
        (engine.now() at time zone 'Europe/London')::date as today,
        coalesce((select value_numeric from raw_ops.config where key = 'allocation.min_shelf_days'), 0)::integer as min_shelf_days
) d
left join raw_ops.products p on p.id = b.product_id
left join lateral (
    select sum(n.kg_available) as kg, array_agg(n.location order by n.location) as locations
    from raw_ops.inventory n where n.batch_id = b.id
) i on true
where q.on_hand > 0 or i.kg > 0;
comment on view raw_ops.v_inventory_status is 'Current stock levels';
comment on column raw_ops.v_inventory_status.units_free is 'May be promised to an order today; 0 unless the batch is released and in date.';
comment on column raw_ops.v_inventory_status.kg_drift is 'What inventory records beyond the units; null where it records nothing.';

create view raw_ops.v_lab_sla_tracking as
select
    b.id as batch_id, b.batch_code, b.status, b.produced_at, h.held_since,
    r.id as lab_result_id, r.lab_name, r.outcome, r.reported_at,
    case when r.id is null then (select engine.now()) - h.held_since end as waiting,
    r.reported_at - h.held_since as turnaround,
    l.max_days,
    coalesce(r.reported_at, (select engine.now())) > h.held_since + l.max_days * interval '1 day' as is_late
from raw_ops.batches b
cross join lateral (select coalesce(b.qa_hold_started_at, b.created_at) as held_since) h
left join raw_ops.lab_results r on r.batch_id = b.id
cross join (
    select coalesce((select value_numeric from raw_ops.config where key = 'lab_sla.max_days'), 5) as max_days
) l
where (r.id is null and b.status = 'QA_HOLD')
   or (r.reported_at > (select engine.now()) - interval '90 days' and r.reported_at <= (select engine.now()));
comment on view raw_ops.v_lab_sla_tracking is 'Lab turnaround metrics';
comment on column raw_ops.v_lab_sla_tracking.waiting is 'While there is no result. Batches with a result of the last 90 days are listed too.';
comment on column raw_ops.v_lab_sla_tracking.is_late is 'The result came, or is still not there, after max_days.';

create view raw_ops.v_outbox_health as
select
    o.pending, o.sending, o.failed, o.unknown, o.oldest_pending_at, (select engine.now()) - o.oldest_pending_at as oldest_age,
    o.most_attempts, s.sent_24h, (select max(x.last_sent_at) from raw_ops.outbox x where x.state = 'sent') as last_sent_at
from (
    select
        count(*) filter (where state in ('pending', 'sending'))           as pending,
        count(*) filter (where state = 'sending')                         as sending,
        count(*) filter (where state = 'failed')                          as failed,
        count(*) filter (where state = 'unknown')                         as unknown,
        min(created_at) filter (where state in ('pending', 'sending'))    as oldest_pending_at,
        max(attempts) filter (where state in ('pending', 'sending'))      as most_attempts
    from raw_ops.outbox
    where state in ('pending', 'sending', 'failed', 'unknown')
) o
cross join (
    select count(*) as sent_24h
    from raw_ops.outbox
    where state = 'sent'
      and last_sent_at > (select engine.now()) - interval '24 hours' and last_sent_at <= (select engine.now())
) s;
comment on view raw_ops.v_outbox_health is 'Email queue status';
comment on column raw_ops.v_outbox_health.pending is 'Not sent yet, those being sent included.';
comment on column raw_ops.v_outbox_health.unknown is 'Perhaps sent: a person must look.';

create view raw_ops.v_pack_queue as
select
    o.id as order_id, o.shopify_order_id, o.order_number_label, o.status, o.ordered_at, o.exported_at, o.is_subscription,
    o.ship_name, o.ship_city, o.ship_postcode,
    a.units, a.batch_codes,
    p.id as packing_instruction_id, p.box_size, p.insulation_type, p.pcm_packs_count, p.pcm_mass_kg, p.risk_level,
    p.logger_required, p.special_notes
from raw_ops.orders o
left join raw_ops.packing_instructions p on p.order_id = o.id
cross join lateral (
    select coalesce(sum(x.qty_allocated), 0) as units, array_agg(distinct b.batch_code order by b.batch_code) as batch_codes
    from raw_ops.order_items i
    join raw_ops.allocations x on x.order_item_id = i.id
    join raw_ops.batches b on b.id = x.batch_id
    where i.order_id = o.id
) a
where o.status in ('ALLOCATED', 'EXPORTED');
comment on view raw_ops.v_pack_queue is 'Orders ready for packing';
comment on column raw_ops.v_pack_queue.packing_instruction_id is 'Null until the coolant was calculated: such an order cannot be packed yet.';

create view raw_ops.v_released_batches_verified as
select
    b.id as batch_id, b.batch_code, b.public_batch_id, b.product_id, b.produced_at, b.expiry_date, b.released_at, b.qty_on_hand,
    b.proof_url, r.id as lab_result_id, r.lab_name, r.outcome, r.collected_at, r.reported_at, r.report_pdf_url,
    r.salmonella_absent, r.listeria_absent, r.enterobacteriaceae_operator, r.enterobacteriaceae_cfu_per_g
from raw_ops.batches b
join raw_ops.lab_results r on r.batch_id = b.id
where b.status = 'RELEASED' and r.outcome = 'PASS';
comment on view raw_ops.v_released_batches_verified is 'Batches with lab results';

create view raw_ops.v_retry_queue_depth as
select
    count(*)                                                   as depth,
    count(*) filter (where i.processing_status = 'pending')    as pending,
    count(*) filter (where i.processing_status = 'processing') as processing,
    count(*) filter (where i.processing_status = 'failed')     as failed,
    count(*) filter (where i.processing_status = 'retrying')   as retrying,
    min(i.received_at)                                         as oldest_received_at,
    (select engine.now()) - min(i.received_at)                 as oldest_age,
    max(i.processing_attempts)                                 as most_attempts
from raw_ops.webhook_inbox i
where i.processing_status in ('pending', 'processing', 'failed', 'retrying')
  and (i.source <> 'logger' or i.processing_status = 'failed');
comment on view raw_ops.v_retry_queue_depth is 'Current retry queue status';

create view raw_ops.v_support_queue as
select
    t.id as ticket_id, t.status, t.source, t.subject, t.created_at, t.assigned_to, t.reply_count, t.is_outbound,
    t.is_pre_purchase,
    t.customer_id, coalesce(c.email::text, t.customer_email) as customer_email,
    nullif(concat_ws(' ', c.first_name, c.last_name), '') as customer_name,
    t.related_order_id, t.related_batch_code,
    d.id as decision_id, coalesce(d.category, t.ai_category) as category,
    coalesce(d.confidence_score, t.ai_confidence) as confidence,
    coalesce(d.draft_response, t.ai_draft_response) as draft_response, d.review_status, d.policy_gate_code,
    coalesce(d.escalation_reason, t.ai_escalation_reason) as escalation_reason,
    w.waiting_since, (select engine.now()) - w.waiting_since as waiting
from raw_ops.support_tickets t
cross join lateral (
    select case when t.last_response_at is null or t.last_customer_reply_at > t.last_response_at
        then coalesce(t.last_customer_reply_at, t.created_at) end as waiting_since
) w
left join raw_ops.customers c on c.id = t.customer_id
left join lateral (
    select x.id, x.category, x.confidence_score, x.draft_response, x.review_status, x.policy_gate_code, x.escalation_reason
    from raw_ops.cs_agent_decisions x
    where x.ticket_id = t.id
    order by coalesce(x.processed_at, x.created_at) desc nulls last, x.id
    limit 1
) d on true
where t.status not in ('resolved', 'closed') or t.status is null;
comment on view raw_ops.v_support_queue is 'Open tickets with context';
comment on column raw_ops.v_support_queue.category is 'Of the newest decision of the agent, as the columns around it.';
comment on column raw_ops.v_support_queue.waiting_since is 'The customer''s last word that has no answer; null while the customer is to answer.';

create view raw_ops.v_webhook_health as
select
    count(*)                                                                              as received,
    count(*) filter (where i.processing_status = 'success')                               as succeeded,
    count(*) filter (where i.processing_status in ('pending', 'processing', 'retrying'))  as waiting,
    count(*) filter (where i.processing_status = 'failed')                                as failed,
    count(*) filter (where i.processing_status = 'suspected_replay')                      as suspected_replays,
    count(*) filter (where i.processing_status = 'ignored')                               as ignored,
    count(*) filter (where i.processing_attempts > 1)                                     as retried,
    round(100.0 * count(*) filter (where i.processing_status = 'success')
        / nullif(count(*) filter (where i.processing_status in ('success', 'failed')), 0), 1) as success_pct,
    round(avg(i.processing_duration_ms) filter (where i.processing_status = 'success'))   as avg_ms,
    percentile_disc(0.95) within group (order by i.processing_duration_ms)
        filter (where i.processing_status = 'success')                                    as p95_ms,
    max(i.processing_duration_ms) filter (where i.processing_status = 'success')          as max_ms
from raw_ops.webhook_inbox i
where i.received_at > (select engine.now()) - interval '24 hours' and i.received_at <= (select engine.now());
comment on view raw_ops.v_webhook_health is '24-hour processing metrics';
comment on column raw_ops.v_webhook_health.success_pct is 'Of the webhooks that have an outcome; null when none has.';

create view raw_ops.v_working_capital_metrics as
select
    count(*)                                                     as batches,
    count(*) filter (where v.gbp is null)                        as batches_without_cost,
    coalesce(round(sum(v.gbp), 2), 0)                            as held_gbp,
    coalesce(sum(v.kg), 0)                                       as held_kg,
    min(v.held_since)                                            as oldest_held_since,
    (select engine.now()) - min(v.held_since)                    as oldest_age
from (
    select
        coalesce(b.total_cost_gbp, b.kg_produced * b.cogs_per_kg_gbp) as gbp,
        coalesce(i.kg, b.kg_produced)                                 as kg,
        coalesce(b.qa_hold_started_at, b.created_at)                  as held_since
    from raw_ops.batches b
    left join lateral (select sum(n.kg_available) as kg from raw_ops.inventory n where n.batch_id = b.id) i on true
    where b.status = 'QA_HOLD'
) v;
comment on view raw_ops.v_working_capital_metrics is 'Cash tied in QA hold';
comment on column raw_ops.v_working_capital_metrics.batches_without_cost is 'Their money is not in held_gbp.';

-- Functions

create function engine.args_key(args jsonb) returns text
language sql immutable
as $$ select 'args ' || encode(sha256(convert_to(args::text, 'UTF8')), 'hex') $$;

create function engine.ask_cancel(job_id bigint, asked_by text, reason text DEFAULT NULL::text) returns boolean
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
    with asked as (
        insert into engine.cancel_request (job_id, requested_by, reason)
        select $1, $2, $3 where exists (select from engine.job where id = $1)
        on conflict (job_id) do update set job_id = excluded.job_id
        returning 1
    )
    select exists (select from asked)
$$;

create function engine.await_standby() returns void
language plpgsql
as $$
begin
    -- Without one nothing is waited for, and the log is not made to be flushed.
    if current_setting('synchronous_standby_names') <> '' and not pg_is_in_recovery() then
        perform pg_logical_emit_message(true, 'rawops', '');
    end if;
end
$$;
comment on function engine.await_standby() is 'The commit of this transaction waits as one that wrote would: until the synchronous standby has all that it has read.';

create function engine.cancel_waiting(job_id bigint, words text) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    standing text;
begin
    -- Of one that is not parked yet the wait is left to whoever parks it, who would take a locked one for over.
    perform from engine.event_wait w where w.job_id = $1 and exists (select from engine.parked p where p.job_id = $1) for update of w;
    with place as (
        delete from engine.ready r using engine.job j
        where j.id = $1 and r.job_id = $1 and ((r.lane_id = j.lane_id and r.position = $1) or r.position <> r.job_id)
        returning r.attempt
    ),
    later as (
        delete from engine.scheduled s where s.job_id = $1 returning s.attempt
    ),
    queued as (
        delete from engine.waiting w where w.job_id = $1 and (w.position = $1 or w.position <> w.job_id) returning w.attempt
    ),
    parked as (
        delete from engine.parked p where p.job_id = $1 returning p.attempt
    ),
    ended as (
        insert into engine.attempt (job_id, attempt, started_at, finished_at, outcome, error)
        select $1, p.attempt, engine.now(), engine.now(), 'cancelled', $2
        from (select attempt from place union all select attempt from later union all select attempt from queued
              union all select attempt from parked) p
        on conflict do nothing
        returning finished_at
    ),
    freed as (
        delete from engine.unique_key u where u.job_id = $1 and exists (select from ended)
    ),
    answered as (
        delete from engine.cancel_request r where r.job_id = $1 and exists (select from ended)
    ),
    unwaited as (
        delete from engine.event_wait w where w.job_id = $1 and exists (select from ended)
    ),
    child as (
        delete from engine.child c where c.job_id = $1 and exists (select from ended) returning c.*
    ),
    told as (
        insert into engine.child_end (parent_id, position, n, job_id, ended_at, outcome, error)
        select c.parent_id, c.position, c.n, c.job_id, e.finished_at, 'cancelled', $2 from child c, ended e
    ),
    followed as (
        insert into engine.aftermath (job_id, ended_at)
        select $1, e.finished_at from ended e where exists (select from engine.step s where s.job_id = $1)
        on conflict do nothing
    )
    select case
        when exists (select from ended) then 'cancelled'
        when exists (
            select from engine.claim c, unnest(c.ids, c.attempts) u (id, attempt)
            where c.ids @> array[$1] and u.id = $1
              and not exists (select from engine.attempt a where a.job_id = u.id and a.attempt = u.attempt)) then 'running'
        else (
            select 'already ' || a.outcome from engine.attempt a
            where a.job_id = $1 and a.outcome in ('completed', 'cancelled', 'dead')
            limit 1)
    end into standing;
    if standing = 'cancelled' then
        perform engine.give_back(array[$1]);
    elsif standing like 'already %' then
        delete from engine.cancel_request r where r.job_id = $1;
    end if;
    return standing;
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

create function engine.checked_name(what text, name text) returns text
language plpgsql immutable strict
as $$
begin
    if name = '' or octet_length(name) > 500 or name ~ '[\u0001-\u001f\u007f-\u009f\u2028\u2029]'
        or name ~ '^[\s\u00a0\u3000\ufeff]|[\s\u00a0\u3000\ufeff]$'
    then
        raise exception '% %: a name has 1 to 500 bytes, no control character, and no blank at either end', what, to_json(left(name, 60))
            using errcode = '22023';
    end if;
    return name;
end
$$;
comment on function engine.checked_name(text,text) is 'The name of a queue or a kind, or a limit key; refuses what is none.';

create function engine.collapse_snoozes(job_ids bigint[]) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    gone bigint;
begin
    delete from engine.attempt a
    using (
        select i.job_id, max(l.attempt) as last
        from unnest(job_ids) i (job_id)
        join engine.attempt l on l.job_id = i.job_id
        group by i.job_id
    ) known
    where a.job_id = known.job_id and a.outcome in ('snoozed', 'waiting') and a.attempt <= known.last - 16
      and a.finished_at < engine.now() - interval '10 minutes'
      and not exists (select from engine.claim c, unnest(c.ids, c.attempts) u (id, attempt) where u.id = a.job_id and u.attempt = a.attempt);
    get diagnostics gone = row_count;
    return gone;
end
$$;

create function engine.count_permits(setting integer DEFAULT NULL::integer) returns integer
language plpgsql security definer
set jit = off
set search_path = pg_catalog, pg_temp
as $$
declare
    changed integer;
begin
    -- Two at one time would count the same jobs twice.
    perform pg_advisory_xact_lock(hashtextextended('engine.count_permits', 0));
    insert into engine.permit (claim_id, setting_id, jobs, counted)
    select c.id, s.id, r.jobs - p.jobs, true
    from engine.limit_setting s
    -- Who does not see the limit yet may commit a claim a moment after it.
    join engine.claim c on c.claimed_at < s.changed_at + interval '10 seconds'
    cross join lateral (
        select count(*)::integer as jobs
        from unnest(c.ids, c.attempts) u (job_id, attempt)
        cross join lateral (select lane_id from engine.job where id = u.job_id offset 0) j
        join engine.lane l on l.id = j.lane_id
        where s.name = case s.scope when 'queue' then l.queue else l.kind end
          and not exists (select from engine.attempt a where a.job_id = u.job_id and a.attempt = u.attempt)
    ) r
    cross join lateral (
        select coalesce(sum(jobs), 0)::integer as jobs from engine.permit where claim_id = c.id and setting_id = s.id
    ) p
    where s.scope in ('queue', 'kind') and s.cap is not null and (setting is null or s.id = setting) and r.jobs <> p.jobs;
    get diagnostics changed = row_count;
    if setting is null then
        -- Who closed a claim at the moment at which it was counted did not see these.
        delete from engine.permit p where not exists (select from engine.claim c where c.id = p.claim_id);
    end if;
    return changed;
end
$$;
comment on function engine.count_permits(integer) is 'Counts what runs under limits of queues and kinds, or under one, of claims that began before the limit was changed: no end of theirs gives back what is counted here, but the next count does. Returns how many counts were wrong.';

create function engine.count_scheduled() returns TABLE(lane_id integer, jobs bigint)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
        with estimate as materialized (select * from engine.estimate_jobs('engine.scheduled'))
        select e.lane_id, e.jobs from estimate e where (select sum(seen) from estimate) >= 5000;
    if not found then
        -- A table that was large once has few rows in many pages: those are quickly passed over.
        return query select s.lane_id, count(*) from engine.scheduled s group by s.lane_id;
    end if;
end
$$;
comment on function engine.count_scheduled() is 'The jobs of each lane that run at a time: an estimate, where 400 pages of the table have 5,000 of them or more.';

create function engine.discard_letter(letter uuid, asked_by text, reason text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform engine.lock_letter($1);
    update engine.dead_letter_queue d
    set resolved = true, resolved_at = engine.now(), resolved_by = $2, resolution = $3
    where d.id = $1;
end
$$;

create function engine.drop_expired_partition() returns bigint
language plpgsql security definer
set jit = off
set search_path = pg_catalog, pg_temp
as $$
declare
    low bigint;
    bound bigint;
    living bigint;
    recent boolean;
    old boolean;
    swept boolean := false;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('engine.drop_expired_partition', 0)) then
        return null;
    end if;
    for low, bound in
        select (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''?(\d+)'))[1]::bigint,
            (regexp_match(c.relname, '_(\d+)$'))[1]::bigint as ends_at
        from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'engine.job'::regclass and c.relname ~ '^job_\d+$'
          and (regexp_match(c.relname, '_(\d+)$'))[1]::bigint <= (select p.last_value from engine.position p)
        order by 2
    loop
        execute format($q$
            select exists (select from engine.attempt_%1$s a where a.outcome = 'completed' and a.finished_at >= $1)
                or exists (select from engine.attempt_%1$s a where a.outcome = 'cancelled' and a.finished_at >= $2)
            $q$, bound) into recent using engine.kept_since('completed'), engine.kept_since('cancelled');
        if recent then
            -- One in which jobs end for longer than any is kept is not expected to be dropped soon.
            execute format('select (select created_at from engine.job_%s order by id limit 1) < $1', bound)
                into old using least(engine.kept_since('completed'), engine.kept_since('cancelled'), engine.kept_since('dead'));
            if old and not swept then
                swept := engine.forget_ended_in(format('attempt_%s', bound), 10000) > 0;
            end if;
            continue;
        end if;
        -- What lives is moved with all locked, so it has to be little. Where it is not, what has ended goes row by row. Counted only
        -- now: each place is read whole for it.
        select count(*) into living
        from (select from engine.place p where p.job_id >= low and p.job_id < bound limit 100001) p;
        if living <= 100000 and engine.retire_partition(bound, true) >= 0 then
            return bound;
        end if;
        -- More lives or is kept, such as deaths, than may be moved: what need not be kept goes row by row.
        if not swept then
            swept := engine.forget_ended_in(format('attempt_%s', bound), 10000) > 0;
        end if;
    end loop;
    return null;
end
$$;
comment on function engine.drop_expired_partition() is 'Drops the oldest pair of partitions that engine.retention lets go.';

create function engine.emit(name text, key text, payload jsonb DEFAULT 'null'::jsonb, idempotency_key text DEFAULT NULL::text) returns TABLE(id bigint, created boolean, woken integer)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    made bigint;
    held jsonb;
    waiters bigint[];
begin
    if emit.name is null or emit.key is null or emit.payload is null then
        raise exception 'an event needs a name, a key and a payload: pass an empty key or a JSON null for none' using errcode = 'RW002';
    end if;
    insert into engine.topic (name, key, touched_at) values (emit.name, emit.key, engine.now())
    on conflict (name, key) do update set touched_at = excluded.touched_at;
    -- From here on nobody else is between looking and waiting: each statement sees all that came before.
    insert into engine.event (name, key, emitted_at, idempotency_key, payload, trace_parent)
    values (emit.name, emit.key, engine.now(), emit.idempotency_key, emit.payload, engine.trace_parent(null))
    on conflict do nothing
    returning event.id into made;
    if made is null then
        select e.id, e.payload into made, held from engine.event e
        where e.name = emit.name and e.key = emit.key and e.idempotency_key = emit.idempotency_key;
        if held <> emit.payload then
            raise exception 'idempotency key % was used before for event % with another payload: use a new key', emit.idempotency_key, made
                using errcode = 'RW001';
        end if;
        return query select made, false, 0;
        return;
    end if;
    with gone as (
        delete from engine.event_wait w
        where w.ctid = any (array(
            select o.ctid from engine.event_wait o where o.name = emit.name and o.key = emit.key order by o.job_id for update))
        returning w.job_id
    )
    select array_agg(g.job_id) into waiters from gone g;
    return query select made, true, engine.unpark(waiters);
end
$$;

create function engine.enqueue(kind text, args jsonb, queue text DEFAULT NULL::text, priority smallint DEFAULT NULL::smallint, run_at timestamp with time zone DEFAULT NULL::timestamp with time zone, unique_key text DEFAULT NULL::text, producer text DEFAULT NULL::text, idempotency_key text DEFAULT NULL::text, limit_key text DEFAULT NULL::text, max_attempts smallint DEFAULT NULL::smallint, parent_id bigint DEFAULT NULL::bigint, trace_parent text DEFAULT NULL::text, requeued_from uuid DEFAULT NULL::uuid, deadline timestamp with time zone DEFAULT NULL::timestamp with time zone, unique_args boolean DEFAULT false, unique_for interval DEFAULT NULL::interval, unique_until_started boolean DEFAULT false, replaces boolean DEFAULT false, debounce interval DEFAULT NULL::interval, debounce_max interval DEFAULT NULL::interval) returns TABLE(id bigint, created boolean, queue_depth bigint, queue_age_ms bigint)
language plpgsql
as $$
#variable_conflict use_column
declare
    new_id bigint;
    held_id bigint;
    held_hash bytea;
    hash bytea;
    lane integer;
    due timestamptz := engine.now();
    the_key text := case when enqueue.unique_args then engine.args_key(enqueue.args) else enqueue.unique_key end;
    starts timestamptz := enqueue.run_at;
    depth bigint;
    age_ms bigint;
    most bigint;
begin
    if enqueue.args is null then
        raise exception 'a job of kind % needs arguments: pass {} for none', enqueue.kind using errcode = 'RW002';
    end if;
    perform engine.checked_name('limit key', enqueue.limit_key);
    if the_key is null and (enqueue.unique_for is not null or enqueue.unique_until_started or enqueue.replaces or enqueue.debounce is not null) then
        raise exception 'what a job of kind % is unique by is not said: pass unique_key or unique_args', enqueue.kind using errcode = '22023';
    end if;
    if enqueue.unique_for is not null and (enqueue.unique_until_started or enqueue.debounce is not null) then
        raise exception 'a job that is unique for a time is so whether it has started or not: leave out unique_until_started and debounce'
            using errcode = '22023';
    end if;
    if enqueue.debounce is not null and (enqueue.run_at is not null or enqueue.debounce <= interval '0' or enqueue.debounce_max < enqueue.debounce) then
        raise exception 'a debounce is a positive time, debounce_max no shorter, and run_at follows from them' using errcode = '22023';
    end if;

    -- Programs say both, so that only callers in SQL pay for this.
    if enqueue.queue is null or enqueue.priority is null then
        select coalesce(enqueue.queue, k.queue, 'default'), coalesce(enqueue.priority, k.priority, 5::smallint) into queue, priority
        from (select 1) one left join engine.kind k on k.name = enqueue.kind;
    end if;

    select coalesce(sum(f.ready), 0), coalesce(1000 * extract(epoch from due - min(f.oldest_at)), 0) into depth, age_ms
    from engine.lane l join engine.lane_figures f on f.lane_id = l.id
    where l.queue = enqueue.queue;

    -- The claimers' floor trusts that whoever takes a position already has a transaction id.
    perform pg_current_xact_id();
    new_id := nextval('engine.position');

    if enqueue.idempotency_key is not null then
        hash := sha256(convert_to(enqueue.kind || ' ' || enqueue.args::text, 'UTF8'));
        insert into engine.enqueue_key (producer, key, job_id, args_hash)
        values (coalesce(enqueue.producer, ''), enqueue.idempotency_key, new_id, hash)
        on conflict do nothing;
        if not found then
            select k.job_id, k.args_hash into held_id, held_hash from engine.enqueue_key k
            where k.producer = coalesce(enqueue.producer, '') and k.key = enqueue.idempotency_key;
            if held_hash <> hash then
                raise exception 'idempotency key % was used before for job % with other arguments: use a new key',
                    enqueue.idempotency_key, held_id using errcode = 'RW001';
            end if;
            perform engine.await_standby();
            return query select held_id, false, depth, age_ms;
            return;
        end if;
    end if;

    if the_key is not null then
        select h.held_id, coalesce(h.run_at, starts) into held_id, starts
        from engine.hold_unique_key(enqueue.kind, the_key, new_id, enqueue.unique_until_started or enqueue.debounce is not null,
            enqueue.replaces or enqueue.debounce is not null, enqueue.debounce,
            case when enqueue.debounce is not null then coalesce(enqueue.debounce_max, 10 * enqueue.debounce) end, enqueue.unique_for) h;
        if held_id is not null then
            update engine.enqueue_key k set job_id = held_id
            where k.producer = coalesce(enqueue.producer, '') and k.key = enqueue.idempotency_key;
            perform engine.await_standby();
            return query select held_id, false, depth, age_ms;
            return;
        end if;
    end if;

    -- Whoever asks again for a job that is there was answered above.
    select q.depth_limit into most from engine.queue q where q.name = enqueue.queue;
    if depth >= most then
        raise exception 'queue % is full: % jobs of it are ready, and its limit is %', enqueue.queue, depth, most
            using errcode = 'RW020', hint = 'Try again when some have run, or let an operator raise the limit.';
    end if;

    lane := engine.lane_of(enqueue.queue, enqueue.kind, enqueue.priority);
    insert into engine.job (id, lane_id, max_attempts, created_at, args, unique_key, limit_key, parent_id, trace_parent, requeued_from, deadline)
    values (new_id, lane, enqueue.max_attempts, due, enqueue.args, the_key, enqueue.limit_key,
            enqueue.parent_id, engine.trace_parent(enqueue.trace_parent), enqueue.requeued_from, enqueue.deadline);

    perform engine.put_in_place(new_id, lane, 1, case when starts > due then starts end, enqueue.limit_key);
    return query select new_id, true, depth, age_ms;
end
$$;

create function engine.enqueue_each(kind text, queue text, args jsonb[], unique_keys text[], run_at timestamp with time zone[] DEFAULT NULL::timestamp with time zone[], trace_parents text[] DEFAULT NULL::text[]) returns bigint
language plpgsql
as $$
#variable_conflict use_column
declare
    at timestamptz := engine.now();
    lane integer;
    depth bigint;
    most bigint;
    made bigint;
    any_ready boolean;
begin
    if array_position(enqueue_each.args, null) is not null then
        raise exception 'a job of kind % needs arguments: pass {} for none', enqueue_each.kind using errcode = 'RW002';
    end if;
    -- The claimers' floor trusts that whoever takes a position already has a transaction id.
    perform pg_current_xact_id();
    lane := engine.lane_of(enqueue_each.queue, enqueue_each.kind, 5::smallint);

    with new as materialized (
        select n, nextval('engine.position') as id, u.args, u.unique_key, u.trace_parent, case when u.run_at > at then u.run_at end as run_at
        from unnest(enqueue_each.args, enqueue_each.unique_keys, enqueue_each.run_at, enqueue_each.trace_parents)
            with ordinality u (args, unique_key, run_at, trace_parent, n)
    ),
    keyed as (
        insert into engine.unique_key (kind, key, job_id)
        select enqueue_each.kind, unique_key, id from new where unique_key is not null
        order by unique_key, n
        on conflict (kind, key) do nothing
        returning job_id
    ),
    fresh as materialized (
        select * from new where unique_key is null or id in (select job_id from keyed)
    ),
    described as (
        insert into engine.job (id, lane_id, created_at, args, unique_key, trace_parent)
        select id, lane, at, args, unique_key, engine.trace_parent(trace_parent) from fresh
    ),
    now_ready as (
        insert into engine.ready (lane_id, attempt, position, job_id)
        select lane, 1, id, id from fresh where run_at is null
    ),
    later as (
        insert into engine.scheduled (run_at, job_id, lane_id, attempt, keyed)
        select run_at, id, lane, 1, false from fresh where run_at is not null
    )
    select count(*), bool_or(run_at is null) into made, any_ready from fresh;

    -- Whoever asks again for jobs that are there is not refused.
    select q.depth_limit into most from engine.queue q where q.name = enqueue_each.queue;
    if made > 0 and most is not null then
        select coalesce(sum(f.ready), 0) into depth
        from engine.lane l join engine.lane_figures f on f.lane_id = l.id where l.queue = enqueue_each.queue;
        if depth >= most then
            raise exception 'queue % is full: % jobs of it are ready, and its limit is %', enqueue_each.queue, depth, most
                using errcode = 'RW020', hint = 'Try again when some have run, or let an operator raise the limit.';
        end if;
    end if;
    if any_ready then
        perform engine.wake();
    end if;
    if made = 0 then
        perform engine.await_standby();
    end if;
    return made;
end
$$;
comment on function engine.enqueue_each(text,text,jsonb[],text[],timestamp with time zone[],text[]) is 'Enqueues a job for each element; one whose unique key a live job holds makes none. Returns how many it made.';

create function engine.enqueue_unwind(workflow bigint) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from engine.compensation c where c.job_id = workflow and c.undone_at is null) then
        perform e.id
        from engine.job j
        join engine.lane l on l.id = j.lane_id
        cross join lateral engine.enqueue('engine.unwind', jsonb_build_object('workflow', workflow::text), l.queue, l.priority,
            unique_key => workflow::text, parent_id => workflow, trace_parent => j.trace_parent) e
        where j.id = workflow;
    end if;
end
$$;

create function engine.error_categories() returns text[]
language sql immutable
as $$
select array['network', 'timeout', 'rate_limited', 'upstream', 'auth', 'validation', 'not_ready', 'conflict',
             'business_rule', 'poison', 'bug', 'unknown']
$$;

create function engine.estimate_jobs(place regclass) returns TABLE(lane_id integer, jobs bigint, seen bigint)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    most_pages constant bigint := 2000;
    pages bigint := pg_relation_size(place) / current_setting('block_size')::bigint;
begin
    if pages > most_pages then
        -- The same pages each time, so that the figure moves when the jobs do.
        return query execute format(
            'select s.lane_id, round(count(*) * $1)::bigint, count(*) from %s s tablesample system ($2) repeatable (0) group by s.lane_id',
            place)
            using pages::numeric / most_pages, (100.0 * most_pages / pages)::real;
    end if;
end
$$;
comment on function engine.estimate_jobs(regclass) is 'About how many jobs of each lane are in a place, by 2,000 pages of its table, and how many were seen there. Nothing, where it has no more pages.';

create function engine.extend_partitions(width bigint DEFAULT 10000000, ahead bigint DEFAULT 50000000) returns integer
language plpgsql security definer
set lock_timeout = 100ms
set search_path = pg_catalog, pg_temp
as $$
declare
    bound bigint;
    last_id bigint;
    made integer := 0;
    brin regclass;
begin
    if width < 1000000 or ahead < width or ahead > 100 * width then
        raise exception 'partitions of % ids, % ahead: the width is a million or more, and 1 to 100 widths are made ahead', width, ahead
            using errcode = '22023';
    end if;
    if not pg_try_advisory_xact_lock(hashtextextended('engine.extend_partitions', 0)) then
        return 0;
    end if;
    select p.last_value into last_id from engine.position p;
    select coalesce(max((regexp_match(c.relname, '_(\d+)$'))[1]::bigint) filter (where c.relname ~ '_\d+$'), 0) into bound
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'engine.job'::regclass;
    if bound >= last_id + ahead then
        return 0;
    end if;
    -- Ids that outran the partitions stand in the default ones and stay there: the next range begins past them.
    select greatest(bound, (max(k.id) / width + 1) * width) into bound
    from (select id from engine.job_kept where id >= bound union all select job_id from engine.attempt_kept where job_id >= bound) k;
    while bound < last_id + ahead loop
        execute format('create table engine.job_%s partition of engine.job for values from (%s) to (%s)',
                       bound + width, bound, bound + width);
        execute format('create table engine.attempt_%s partition of engine.attempt for values from (%s) to (%s)',
                       bound + width, bound, bound + width);
        for brin in select x.indexrelid from pg_index x join pg_class c on c.oid = x.indexrelid join pg_am a on a.oid = c.relam
            where x.indrelid = format('engine.attempt_%s', bound + width)::regclass and a.amname = 'brin'
        loop
            execute format('alter index %s set (autosummarize = on)', brin);
        end loop;
        bound := bound + width;
        made := made + 1;
    end loop;
    return made;
end
$$;

create function engine.forget_ended(batch integer DEFAULT 1000) returns bigint
language plpgsql security definer
set jit = off
set search_path = pg_catalog, pg_temp
as $$
declare
    part text;
    gone bigint := 0;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('engine.forget_ended', 0)) then
        return 0;
    end if;
    for part in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'engine.attempt'::regclass
          and (c.relname !~ '^attempt_\d+$'
               or ((regexp_match(c.relname, '_(\d+)$'))[1]::bigint > (select p.last_value from engine.position p) and pg_relation_size(c.oid) > 0))
    loop
        gone := gone + engine.forget_ended_in(part, (batch - gone)::integer);
        exit when gone >= batch;
    end loop;
    return gone;
end
$$;
comment on function engine.forget_ended(integer) is 'Forgets ended jobs that engine.retention lets go and no partition will take along soon.';

create function engine.forget_ended_in(part text, batch integer) returns bigint
language plpgsql
set jit = off
as $$
declare
    past bigint[];
begin
    execute format($q$
        select array(
            select a.job_id from engine.%I a join engine.job j on j.id = a.job_id
            where ((a.outcome = 'completed' and a.finished_at < $2) or (a.outcome = 'cancelled' and a.finished_at < $3)
                or (a.outcome = 'dead' and a.finished_at < $4))
              and a.job_id not in (select u.id from engine.claim c cross join unnest(c.ids) u (id) where u.id is not null)
              and (j.parent_id is null or not exists (select from engine.job p where p.id = j.parent_id)
                   or exists (select from engine.attempt f where f.job_id = j.parent_id and f.outcome in ('completed', 'cancelled', 'dead')))
              and (a.outcome = 'completed' or not engine.is_wanted(a.job_id, a.outcome))
            limit $1)$q$, part)
        into past using batch, engine.kept_since('completed'), engine.kept_since('cancelled'), engine.kept_since('dead');
    -- The attempts first: a job of which they are left is a fault, and one without them is none that lives.
    delete from engine.attempt a where a.job_id = any (past);
    delete from engine.job j where j.id = any (past);
    delete from engine.step s where s.job_id = any (past);
    delete from engine.child_end e where e.parent_id = any (past);
    delete from engine.compensation c where c.job_id = any (past);
    delete from engine.restart r where r.job_id = any (past);
    delete from engine.progress p where p.job_id = any (past);
    delete from engine.log_line l where l.job_id = any (past);
    return cardinality(past);
end
$$;

create function engine.forget_letters(batch integer DEFAULT 1000) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    resolved_since timestamptz := engine.kept_since('resolved_letters');
    open_since timestamptz := engine.kept_since('open_letters');
    gone bigint;
begin
    with past as materialized (
        select d.id from engine.dead_letter_queue d
        where ((d.resolved and coalesce(d.resolved_at, d.created_at) < resolved_since)
            or (not d.resolved and d.created_at < open_since))
          and not exists (select from engine.job j where j.id = d.job_id)
        limit batch
    )
    delete from engine.dead_letter_queue d where d.id in (select p.id from past p);
    get diagnostics gone = row_count;
    return gone;
end
$$;
comment on function engine.forget_letters(integer) is 'Forgets dead letters that engine.retention lets go.';

create function engine.give_back(jobs bigint[]) returns integer
language plpgsql
set enable_seqscan = off
set jit = off
as $$
declare
    known bigint[] := jobs;
    moved integer;
begin
    -- The slots of those that went back into their line are nobody's meanwhile. Programs of before put them at their own ids.
    update engine.slot s set job_id = -s.job_id
    where s.job_id = any (give_back.jobs) and exists (
        select from engine.waiting w where w.position in (s.job_id, engine.head_of_line(s.job_id)));
    if found then
        jobs := jobs || array(select -u.id from unnest(jobs) u (id));
    end if;
    moved := engine.give_back(jobs, array_fill(0::bigint, array[coalesce(cardinality(jobs), 0)]));
    if moved > 0 then
        update engine.ready r set position = engine.position_of_return(r.attempt)
        where r.job_id = any (known) and r.position <> r.job_id and r.position > 0;
    end if;
    return moved;
end
$$;

create function engine.give_back(jobs bigint[], floors bigint[]) returns integer
language plpgsql
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
    moved integer;
begin
    with freed as materialized (
        select s.ctid as slot, s.limit_key, s.n, s.floor, row_number() over (partition by s.limit_key order by s.n) as turn,
            count(*) over (partition by s.limit_key) as number
        from (select s.ctid, s.limit_key, s.n, u.floor
              from unnest(give_back.jobs, give_back.floors) u (job_id, floor)
              join engine.slot s on s.job_id = u.job_id
              for update of s) s
    ),
    special as materialized (
        select not engine.keys_are_alike(coalesce(
            -- Those that run above a cap which was lowered are told by their slots alone: the last of each key, where there is a cap at all.
            case when exists (select from engine.limit_setting c where c.scope = 'key' and c.cap is not null) then (
                select max(top.n) from (select distinct f.limit_key from freed f) k
                cross join lateral (select s.n from engine.slot s where s.limit_key = k.limit_key order by s.n desc limit 1) top) end,
            (select max(n) from freed))) as some_are
    ),
    usable as materialized (
        select f.limit_key,
            -- Beside slots above a cap that was lowered, only as many go on as the others leave.
            case when l.cap is not null and exists (select from engine.slot s where s.limit_key = f.limit_key and s.n > l.cap)
                then greatest(0, least(count(*), l.cap + f.number - (select count(*) from engine.slot s where s.limit_key = f.limit_key)))
                else count(*) end as places,
            -- None is below the head of the line.
            case when bool_and(f.floor > 0) then max(f.floor) else -9223372036854775807 end as floor
        from freed f
        left join lateral (select * from engine.limit_of_key(f.limit_key) where (select some_are from special)) l on true
        where l.cap is null or (l.rate is null and f.n <= l.cap)
        group by f.limit_key, f.number, l.cap
    ),
    heads as materialized (
        select u.limit_key, h.place, h.position, h.job_id, h.lane_id, h.attempt,
            row_number() over (partition by u.limit_key order by h.position) as turn
        from usable u
        cross join lateral (
            select * from (
                select w.ctid as place, w.position, w.job_id, w.lane_id, w.attempt from engine.waiting w
                where w.limit_key = u.limit_key and w.position > u.floor
                order by w.position
                limit u.places
                for update skip locked
            ) above
            union all
            -- What was given back, or was committed late, if nothing else is there.
            select * from (
                select w.ctid, w.position, w.job_id, w.lane_id, w.attempt from engine.waiting w
                where w.limit_key = u.limit_key and w.position <= u.floor
                order by w.position
                limit u.places
                for update skip locked
            ) below
            limit u.places
        ) h
    ),
    handed as (
        update engine.slot s set job_id = h.job_id
        from freed f join heads h on h.limit_key = f.limit_key and h.turn = f.turn
        where s.ctid = f.slot
    ),
    dropped as (
        delete from engine.slot where ctid = any (array(
            select f.slot from freed f
            where not exists (select from heads h where h.limit_key = f.limit_key and h.turn = f.turn)))
    ),
    gone as (
        delete from engine.waiting where ctid = any (array(select place from heads))
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
comment on function engine.give_back(bigint[],bigint[]) is 'Hands the slots of these jobs to the next of their keys. Floors: above which position of its line each key is looked at first; 0 for none.';

create function engine.give_back_kept(most integer) returns integer
language plpgsql security definer
set enable_seqscan = off
set jit = off
set search_path = pg_catalog, pg_temp
as $$
declare
    kept bigint[];
begin
    with resting as materialized (
        select s.job_id, s.limit_key from engine.slot s
        where exists (select from engine.scheduled d where d.job_id = s.job_id and not d.alone offset 0)
           or exists (select from engine.parked p where p.job_id = s.job_id offset 0)
    )
    select array(
        select r.job_id from resting r
        where not (select l.in_order from engine.limit_of_key(r.limit_key) l)
        limit most)
    into kept;
    if cardinality(kept) = 0 then
        return 0;
    end if;
    -- A promotion that began before would take a row along with a slot that it still sees, but not one that was changed since. Who wakes
    -- one that is parked looks for its slot when it has the row.
    with later as (
        update engine.scheduled d set keyed = true
        where d.ctid = any (array(
            select o.ctid from engine.scheduled o where o.job_id = any (kept) and not o.alone for update skip locked))
        returning d.job_id
    ),
    still as materialized (
        select p.job_id from engine.parked p where p.job_id = any (kept) for update skip locked
    )
    select array(select l.job_id from later l union all select p.job_id from still p) into kept;
    perform engine.give_back(kept);
    return cardinality(kept);
end
$$;
comment on function engine.give_back_kept(integer) is 'Gives back up to so many slots that jobs kept for a retry or a wait, of keys that keep no order any more; not those of suspects. Returns how many.';

create function engine.head_of_line(job_id bigint) returns bigint
language sql immutable parallel safe
as $$ select $1 - 4611686018427387904 $$;
comment on function engine.head_of_line(bigint) is 'Where a job that had begun stands in the line of its key: before all that have not, and among its like in the order of their ids.';

create function engine.hold_breaker(system text, held text, asked_by text, reason text DEFAULT NULL::text) returns boolean
language plpgsql security definer
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
        openings = case when hold_breaker.held is null and b.held = 'closed' then 0 else b.openings end,
        probe_at = case when hold_breaker.held is null and (b.held = 'open' or b.state = 'open') then at else b.probe_at end
    where b.system = hold_breaker.system;
    if not found then
        return false;
    end if;
    perform engine.wake();
    return true;
end
$$;

create function engine.hold_in_place(job_id bigint) returns boolean
language plpgsql
as $$
begin
    -- In front, where claims look for what comes back: further behind they may have passed it by then.
    update engine.ready r set position = engine.position_of_return(r.attempt) from engine.job j
    where j.id = $1 and r.job_id = $1 and ((r.lane_id = j.lane_id and r.position = $1) or r.position <> r.job_id);
    if found then
        perform engine.wake();
        return true;
    end if;
    perform from engine.scheduled s where s.job_id = $1 for key share;
    if found then
        return true;
    end if;
    perform from engine.waiting w where w.job_id = $1 and (w.position = $1 or w.position <> w.job_id) for key share;
    if found then
        return true;
    end if;
    perform from engine.parked p where p.job_id = $1 for key share;
    return found;
end
$$;
comment on function engine.hold_in_place(bigint) is 'Whether a job waits to run, and keeps it from that until the transaction ends.';

create function engine.hold_unique_key(kind text, key text, new_id bigint, until_started boolean, replaces boolean, wait interval, at_most interval, period interval, OUT held_id bigint, OUT run_at timestamp with time zone) returns record
language plpgsql security definer
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
        elsif replaces and exists (select from engine.step s where s.job_id = held_id) then
            standing := 'begun';
        elsif replaces then
            standing := engine.cancel_waiting(held_id, format('replaced by job %s', new_id));
        else
            standing := case
                when engine.is_running(held_id) then 'running'
                when engine.hold_in_place(held_id) then 'pending'
            end;
        end if;
        case
            when standing = 'cancelled' then
                chain := holder.since;
                replaced_id := held_id;
            when standing = 'pending' or (standing in ('running', 'begun') and not until_started) then
                return;
            when standing in ('running', 'begun', 'overdue') then
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
        where p.until <= at or replaced_id is not null;
        if not found then
            delete from engine.unique_key u where u.kind = $1 and u.key = $2 and u.job_id = $3;
            select p.job_id into held_id from engine.unique_period p where p.kind = $1 and p.key = $2;
        end if;
    end if;
end
$$;

create function engine.inherit_steps(old bigint, fresh bigint, before integer) returns integer
language plpgsql
as $$
declare
    ended timestamptz;
    -- Nobody stops the children of one that completed.
    completed boolean;
    upto integer;
    inherited integer;
    base integer := coalesce((select s.position from engine.step s where s.job_id = old and s.kind = 'continue'), 0);
begin
    select a.finished_at, a.outcome = 'completed' into ended, completed from engine.attempt a
    where a.job_id = old and a.outcome in ('completed', 'cancelled', 'dead');
    select least(before,
        (select min(c.position) from engine.child c where c.parent_id = old and not (c.stays or completed) and c.position > base),
        (select min(e.position) from engine.child_end e where e.parent_id = old and e.position > base and e.outcome = 'cancelled' and e.ended_at >= ended))
    into upto;
    insert into engine.step (job_id, position, attempt, kind, name, begun_at, ended_at, until, key, event_id, result)
    select fresh, s.position, 0, s.kind, s.name, s.begun_at, s.ended_at, s.until, s.key, s.event_id, s.result
    from engine.step s where s.job_id = old and s.position < upto;
    get diagnostics inherited = row_count;
    -- First: whoever ends one at this moment is waited for, and the next statement sees that end.
    update engine.child c set parent_id = fresh where c.parent_id = old and (c.stays or completed) and c.position < upto;
    insert into engine.child_end (parent_id, position, n, job_id, ended_at, outcome, category, error, output)
    select fresh, e.position, e.n, e.job_id, e.ended_at, e.outcome, e.category, e.error, e.output
    from engine.child_end e where e.parent_id = old and e.position < upto;
    insert into engine.compensation (job_id, position, n, queue, kind, priority, max_attempts, args, limit_key)
    select fresh, c.position, c.n, c.queue, c.kind, c.priority, c.max_attempts, c.args, c.limit_key
    from engine.compensation c where c.job_id = old and c.position < upto;
    return inherited;
end
$$;

create function engine.is_running(job_id bigint) returns boolean
language sql
as $$
    select exists (
        select from engine.claim c, unnest(c.ids, c.attempts) u (id, attempt)
        where c.ids @> array[$1] and u.id = $1
          and not exists (select from engine.attempt a where a.job_id = u.id and a.attempt = u.attempt))
$$;

create function engine.is_wanted(job_id bigint, outcome text) returns boolean
language sql stable
as $$
    select outcome in ('dead', 'cancelled') and exists (select from engine.step s where s.job_id = is_wanted.job_id) and (
        (outcome = 'dead' and exists (
            select from engine.dead_letter_queue d
            where d.job_id = is_wanted.job_id and not d.resolved and d.created_at >= engine.kept_since('open_letters')))
        or exists (select from engine.aftermath a where a.job_id = is_wanted.job_id)
        or (exists (select from engine.compensation c where c.job_id = is_wanted.job_id and c.undone_at is null) and (
            exists (select from engine.unique_key u where u.kind = 'engine.unwind' and u.key = is_wanted.job_id::text)
            or exists (
                select from engine.dead_letter_queue d
                where d.topic = 'engine.unwind' and d.unique_key = is_wanted.job_id::text and not d.resolved
                  and d.created_at >= engine.kept_since('open_letters')))))
$$;
comment on function engine.is_wanted(bigint,text) is 'Whether what a job that ended so did is wanted still, by an open dead letter or by what undoes it.';

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

create function engine.kept_since(what text) returns timestamp with time zone
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce((select engine.now() - r.kept from engine.retention r where r.what = $1), '-infinity')
$$;

create function engine.key_holds_back(suspect bigint) returns boolean
language sql stable
as $$
    select exists (
        select from engine.slot s
        cross join lateral engine.limit_of_key(s.limit_key) l
        join engine.job j on j.id = s.job_id
        join engine.lane n on n.id = j.lane_id
        left join engine.limit_setting k on k.scope = 'kind' and k.name = n.kind
        left join engine.pace p on p.limit_key = s.limit_key
        where s.job_id = $1 and (l.cap = 0 or (l.rate is not null
            and engine.rate_left(l.rate, l.per_ms, l.burst, p.free_at, engine.now()) < least(coalesce(k.weight, 1), l.burst))))
$$;
comment on function engine.key_holds_back(bigint) is 'Whether the limit key of a suspect is held, or its rate has nothing left for it.';

create function engine.keys_are_alike(top integer) returns boolean
language plpgsql stable
as $$
begin
    return $1 <= 100
        and not exists (select from engine.limit_setting s where s.scope = 'key' and (s.rate is not null or s.in_order or s.cap < $1))
        and not exists (select from engine.paused p where p.scope = 'key');
end
$$;
comment on function engine.keys_are_alike(integer) is 'Whether each limit key may have slots up to this number, and none is paused, has a rate or keeps its order.';

create function engine.lane_of(queue text, kind text, priority smallint) returns integer
language plpgsql
as $$
declare
    found_id integer;
begin
    select l.id into found_id from engine.lane l
    where l.queue = lane_of.queue and l.kind = lane_of.kind and l.priority = lane_of.priority;
    if found_id is null then
        insert into engine.lane (queue, kind, priority)
        values (engine.checked_name('queue', lane_of.queue), engine.checked_name('kind', lane_of.kind), lane_of.priority)
        on conflict do nothing;
        select l.id into found_id from engine.lane l
        where l.queue = lane_of.queue and l.kind = lane_of.kind and l.priority = lane_of.priority;
    end if;
    return found_id;
end
$$;

create function engine.limit_of_key(limit_key text) returns TABLE(cap integer, in_order boolean, rate integer, per_ms bigint, burst integer)
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

create function engine.lock_letter(letter uuid) returns engine.dead_letter_queue
language plpgsql
as $$
declare
    found_letter engine.dead_letter_queue;
begin
    select * into found_letter from engine.dead_letter_queue d where d.id = $1 for update;
    if not found then
        raise exception 'there is no dead letter %', $1 using errcode = 'RW010';
    end if;
    if found_letter.resolved then
        raise exception 'dead letter % is resolved already', $1
            using errcode = 'RW011', detail = coalesce(found_letter.resolution, 'no reason was kept');
    end if;
    return found_letter;
end
$$;

create function engine.measure_figures(older_than_ms integer DEFAULT 1000) returns boolean
language plpgsql security definer
set jit = off
set search_path = pg_catalog, pg_temp
as $$
declare
    was engine.measured;
    at timestamptz := engine.now();
    position_now bigint;
    xmin_now bigint;
    xmax_now bigint;
    deep boolean;
    begun timestamptz;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('engine.measure_figures', 0)) then
        return false;
    end if;
    select * into was from engine.measured;
    -- A moment after now was written before the clock was set back.
    if was.measured_at between at - older_than_ms * interval '1 millisecond' and at then
        return false;
    end if;

    -- The position first: whoever was given one by now has an id below the snapshot's end.
    select p.last_value into position_now from engine.position p;
    select pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint into xmin_now, xmax_now from pg_current_snapshot() s;
    if xmin_now >= was.mark_xid then
        was.safe_position := was.mark_position;
        was.mark_position := position_now;
        was.mark_xid := xmax_now;
    end if;

    deep := was.deep_at is null or at not between was.deep_at and was.deep_at + 20 * was.deep_ms * interval '1 millisecond';
    begun := clock_timestamp();
    with lane as materialized (
        select l.id, coalesce(f.floor, 0) as floor, f.ready, deep or coalesce(f.ready, 0) <= 20000 as counts
        from engine.lane l left join engine.lane_figures f on f.lane_id = l.id
    ),
    -- Made only if it is asked for.
    estimate as materialized (
        select e.lane_id, e.jobs from engine.estimate_jobs('engine.ready') e where e.seen >= 10000
    ),
    counted as (
        select l.id, h.position,
            case
                when l.counts and n.ready <= 20000 then n.ready
                when l.counts then greatest(n.ready, coalesce((select e.jobs from estimate e where e.lane_id = l.id),
                    (select count(*) from engine.ready r where r.lane_id = l.id and r.position < 0)
                        + (select count(*) from engine.ready r where r.lane_id = l.id and r.position > l.floor)))
                when coalesce(f.job_id, h.job_id) is null then 0
                else l.ready
            end as ready,
            greatest(l.floor, least(coalesce(h.position - 1, was.safe_position), was.safe_position)) as floor,
            (select j.created_at from engine.job j where j.id = coalesce(f.job_id, h.job_id)) as oldest_at
        from lane l
        left join lateral (
            select r.job_id from engine.ready r where r.lane_id = l.id and r.position < 0 order by r.position limit 1
        ) f on true
        left join lateral (
            select r.position, r.job_id from engine.ready r where r.lane_id = l.id and r.position > l.floor order by r.position limit 1
        ) h on true
        cross join lateral (
            select count(*) as ready
            from (select from engine.ready r where r.lane_id = l.id and r.position < 0 and l.counts
                  union all
                  select from engine.ready r where r.lane_id = l.id and r.position > l.floor and l.counts
                  limit 20001) r
        ) n
    )
    insert into engine.lane_figures as f (lane_id, ready, floor, oldest_at)
    select c.id, c.ready, c.floor, c.oldest_at from counted c
    on conflict (lane_id) do update set ready = excluded.ready, floor = excluded.floor, oldest_at = excluded.oldest_at
    where (f.ready, f.floor, f.oldest_at) is distinct from (excluded.ready, excluded.floor, excluded.oldest_at);
    if deep then
        was.deep_at := at;
        was.deep_ms := 1000 * extract(epoch from clock_timestamp() - begun);
    end if;

    if was.slow_at is null or at not between was.slow_at and was.slow_at + 20 * was.slow_ms * interval '1 millisecond' then
        begun := clock_timestamp();
        with counted as materialized (
            select s.lane_id, s.jobs as scheduled from engine.count_scheduled() s
        )
        update engine.lane_figures f set scheduled = n.scheduled
        from (select g.lane_id, coalesce(c.scheduled, 0) as scheduled
              from engine.lane_figures g left join counted c on c.lane_id = g.lane_id) n
        where n.lane_id = f.lane_id and n.scheduled <> f.scheduled;
        select count(*), coalesce(sum(cardinality(c.ids)), 0) into was.claims, was.claimed from engine.claim c;
        select count(*) into was.dead from engine.dead_letter_queue d where not d.resolved;
        was.slow_at := at;
        was.slow_ms := 1000 * extract(epoch from clock_timestamp() - begun);
    end if;

    update engine.measured m
    set measured_at = at, safe_position = was.safe_position, mark_position = was.mark_position, mark_xid = was.mark_xid,
        deep_at = was.deep_at, deep_ms = was.deep_ms, slow_at = was.slow_at, slow_ms = was.slow_ms,
        claims = was.claims, claimed = was.claimed, dead = was.dead;
    return true;
end
$$;
comment on function engine.measure_figures(integer) is 'Counts what stands in each lane into engine.lane_figures, unless somebody did so a moment ago.';

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

create function engine.now() returns timestamp with time zone
language sql
as $$select clock_timestamp()$$;

create function engine.pause_work(scope text, name text, asked_by text, reason text DEFAULT NULL::text, starts_at timestamp with time zone DEFAULT NULL::timestamp with time zone, ends_at timestamp with time zone DEFAULT NULL::timestamp with time zone) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    at timestamptz := engine.now();
    made bigint;
begin
    if pause_work.scope is null or pause_work.scope not in ('queue', 'kind', 'key') or pause_work.name is null then
        raise exception 'a pause is of a queue, a kind or a key, which has a name' using errcode = '22023';
    end if;
    perform engine.checked_name(case pause_work.scope when 'key' then 'limit key' else pause_work.scope end, pause_work.name);
    if pause_work.ends_at <= greatest(at, coalesce(pause_work.starts_at, at)) then
        raise exception 'the pause would end at %, before it begins', pause_work.ends_at using errcode = '22023';
    end if;
    insert into engine.pause (scope, name, starts_at, ends_at, paused_by, reason)
    values (pause_work.scope, pause_work.name, coalesce(pause_work.starts_at, at), pause_work.ends_at, pause_work.asked_by, pause_work.reason)
    returning id into made;
    if pause_work.scope = 'key' and coalesce(pause_work.starts_at, at) <= at then
        -- Who takes one of them at this moment is waited for: it is in hand then, or stays.
        perform from engine.ready r
        where r.job_id = any (array(select h.job_id from engine.slots_held() h)) and r.position <> r.job_id
        for update;
        perform engine.take_back_held();
    end if;
    return made;
end
$$;

create function engine.position_of_return(attempt integer) returns bigint
language sql
as $$
    select nextval('engine.position') - case when $1 <= 10 then 4611686018427387904 else 0 end
$$;
comment on function engine.position_of_return(integer) is 'Where a job stands in ready that was claimed and given back, and comes to this attempt: below zero, in front of all that was never claimed and behind what came back before. At the end from the eleventh attempt on, so that jobs which come back for ever do not keep all others waiting.';

create function engine.put_in_place(job_id bigint, lane_id integer, attempt integer, run_at timestamp with time zone, limit_key text) returns void
language plpgsql
as $$
declare
    -- A new job stands at its own id; one that returns enters at the right edge.
    place bigint := case when put_in_place.attempt = 1 then put_in_place.job_id else nextval('engine.position') end;
begin
    if put_in_place.run_at is not null then
        insert into engine.scheduled (run_at, job_id, lane_id, attempt, keyed)
        values (put_in_place.run_at, put_in_place.job_id, put_in_place.lane_id, put_in_place.attempt, put_in_place.limit_key is not null);
        return;
    end if;
    if put_in_place.limit_key is not null
        and not exists (select from engine.slot s where s.job_id = put_in_place.job_id) then
        insert into engine.waiting (position, job_id, lane_id, attempt, limit_key)
        values (place, put_in_place.job_id, put_in_place.lane_id, put_in_place.attempt, put_in_place.limit_key);
    else
        insert into engine.ready (lane_id, position, job_id, attempt)
        values (put_in_place.lane_id, place, put_in_place.job_id, put_in_place.attempt);
    end if;
    perform engine.wake();
end
$$;

create function engine.rate_after(rate integer, per_ms bigint, burst integer, free_at timestamp with time zone, at timestamp with time zone, taken bigint) returns timestamp with time zone
language sql immutable
as $$
select at + make_interval(secs => engine.rate_owed(rate, per_ms, burst, free_at, at) + taken * engine.rate_step(rate, per_ms, burst))
$$;

create function engine.rate_left(rate integer, per_ms bigint, burst integer, free_at timestamp with time zone, at timestamp with time zone) returns integer
language sql immutable
as $$
select greatest(0, burst - ceil(engine.rate_owed(rate, per_ms, burst, free_at, at) / engine.rate_step(rate, per_ms, burst) - 1e-6)::integer)
$$;

create function engine.rate_owed(rate integer, per_ms bigint, burst integer, free_at timestamp with time zone, at timestamp with time zone) returns double precision
language sql immutable
as $$
select greatest(0, least(coalesce(extract(epoch from free_at - at)::float8, 0), burst * engine.rate_step(rate, per_ms, burst)))
$$;

create function engine.rate_step(rate integer, per_ms bigint, burst integer) returns double precision
language sql immutable
as $$
select per_ms / 1000.0::float8 / (rate - burst + 1)
$$;

create function engine.rate_wait(rate integer, per_ms bigint, burst integer, free_at timestamp with time zone, at timestamp with time zone, wanted integer) returns double precision
language sql immutable
as $$
select greatest(0, engine.rate_owed(rate, per_ms, burst, free_at, at)
    - (burst - least(wanted, burst)) * engine.rate_step(rate, per_ms, burst))
$$;

create function engine.requeue_letter(letter uuid, asked_by text, new_args jsonb DEFAULT NULL::jsonb) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    dead engine.dead_letter_queue := engine.lock_letter($1);
    fresh record;
    goes_on boolean;
    args jsonb := coalesce($3, dead.payload);
begin
    if dead.job_id is null then
        raise exception 'dead letter % has no job of this engine to run again', $1 using errcode = 'RW013';
    end if;
    goes_on := $3 is null and dead.topic <> 'engine.unwind' and not exists (select from engine.compensation c where c.job_id = dead.job_id);
    if goes_on then
        args := coalesce((select s.result -> 'args' from engine.step s where s.job_id = dead.job_id and s.kind = 'continue'), args);
    end if;
    select e.id, e.created into fresh
    from engine.enqueue(dead.topic, args, coalesce(dead.queue, 'default'), coalesce(dead.priority, 5::smallint),
        unique_key => dead.unique_key, limit_key => dead.limit_key, requeued_from => dead.id,
        max_attempts => (select j.max_attempts from engine.job j where j.id = dead.job_id),
        trace_parent => (select j.trace_parent from engine.job j where j.id = dead.job_id)) e;
    if not fresh.created then
        raise exception 'dead letter % stays: job % holds its unique key and is still alive', $1, fresh.id
            using errcode = 'RW012', detail = fresh.id::text;
    end if;
    if goes_on and engine.inherit_steps(dead.job_id, fresh.id, 2147483647) > 0 then
        insert into engine.restart (job_id, restarted_from, from_step, restarted_at, restarted_by)
        select fresh.id, dead.job_id, 1 + max(s.position), engine.now(), $2 from engine.step s where s.job_id = fresh.id;
    end if;
    update engine.dead_letter_queue d
    set resolved = true, resolved_at = engine.now(), resolved_by = $2, requeued_job_id = fresh.id,
        -- Only where it goes on does it ask outside systems under the keys of before: what was undone is to be done anew.
        resolution = case when $3 is not null then 'requeued with other arguments' when goes_on then 'requeued' else 'requeued from the start' end
    where d.id = $1;
    return fresh.id;
end
$$;

create function engine.requeue_letters(letters uuid[], asked_by text, new_args jsonb[] DEFAULT NULL::jsonb[]) returns TABLE(letter uuid, job_id bigint, code text, why text, detail text, violated text)
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
comment on function engine.requeue_letters(uuid[],text,jsonb[]) is 'Runs the jobs of up to 50 dead letters again, as engine.requeue_letter does each; of one that stays it says why.';

create function engine.restart_workflow(workflow bigint, from_step integer, asked_by text) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    old record;
    fresh record;
begin
    -- Whoever deals with its letter at this moment goes first.
    perform d.id from engine.dead_letter_queue d where d.job_id = workflow and not d.resolved for update;
    select j.id, j.state, j.queue, j.kind, j.priority, j.args, j.unique_key, j.limit_key, d.max_attempts, d.trace_parent, w.steps, w.last, b.base, b.args as continued into old
    from engine.job_state j
    join engine.job d on d.id = j.id
    cross join lateral (select count(*)::integer as steps, max(s.position) as last from engine.step s where s.job_id = j.id) w
    left join lateral (
        select s.position as base, s.result -> 'args' as args from engine.step s where s.job_id = j.id and s.kind = 'continue'
    ) b on true
    where j.id = workflow;
    if old.id is null or old.steps = 0 then
        raise exception 'there is no workflow %', workflow using errcode = 'RW024';
    end if;
    if old.state not in ('completed', 'cancelled', 'dead') then
        raise exception 'workflow % is %: cancel it first', workflow, old.state using errcode = 'RW021';
    end if;
    if from_step not between 1 and old.last + 1 then
        raise exception 'workflow % has % steps: restart it from step 1 to %', workflow, old.last, old.last + 1 using errcode = 'RW022';
    end if;
    if from_step > 1 and from_step <= old.base then
        raise exception 'what workflow % did before step %, where it began anew, is not kept: restart it from step 1, or from % to %',
            workflow, old.base, old.base + 1, old.last + 1 using errcode = 'RW022';
    end if;
    if from_step > 1 and (exists (select from engine.compensation c where c.job_id = workflow and c.position < from_step)
            and old.state <> 'completed') then
        raise exception 'what workflow % did is undone, or will be: restart it from step 1', workflow using errcode = 'RW023';
    end if;
    select e.id, e.created into fresh
    from engine.enqueue(old.kind, case when from_step > old.base then old.continued else old.args end, old.queue, old.priority, unique_key => old.unique_key, limit_key => old.limit_key,
        max_attempts => old.max_attempts, trace_parent => old.trace_parent) e;
    if not fresh.created then
        raise exception 'job % holds the unique key of workflow % and is still alive', fresh.id, workflow using errcode = 'RW012';
    end if;
    perform engine.inherit_steps(workflow, fresh.id, from_step);
    update engine.dead_letter_queue d
    set resolved = true, resolved_at = engine.now(), resolved_by = asked_by, requeued_job_id = fresh.id,
        resolution = format('restarted from step %s', from_step)
    where d.job_id = workflow and not d.resolved;
    insert into engine.restart (job_id, restarted_from, from_step, restarted_at, restarted_by)
    select fresh.id, workflow, least(from_step, 1 + coalesce(max(s.position), 0)), engine.now(), asked_by from engine.step s where s.job_id = fresh.id;
    return fresh.id;
end
$$;

create function engine.resume_work(scope text, name text, asked_by text) returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    ended integer;
begin
    with over as (
        update engine.pause p set resumed_at = engine.now(), resumed_by = resume_work.asked_by
        where p.scope = resume_work.scope and p.name = resume_work.name and p.resumed_at is null
          and (p.ends_at is null or p.ends_at > engine.now())
        returning 1
    ),
    queues as (
        update engine.queue q set paused = false
        where resume_work.scope = 'queue' and q.name = resume_work.name and q.paused
        returning 1
    ),
    lanes as (
        update engine.lane l set paused = false
        where resume_work.scope = 'kind' and l.kind = resume_work.name and l.paused
        returning 1
    )
    select (select count(*) from over) + (select count(*) from queues) + (select count(*) from lanes) into ended;
    perform engine.wake();
    return ended;
end
$$;

create function engine.retire_partition(bound bigint, by_retention boolean DEFAULT false) returns bigint
language plpgsql security definer
set jit = off
set lock_timeout = 100ms
set search_path = pg_catalog, pg_temp
as $$
declare
    low bigint;
    living bigint[];
    ended bigint[] := '{}';
    kept bigint;
begin
    select (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''?(\d+)'))[1]::bigint into low
    from pg_class c where c.oid = format('engine.job_%s', bound)::regclass;
    -- Who has made a job of this range and not committed it is waited for. Nobody else comes: ids only grow.
    execute format('lock table engine.job_%s in share mode', bound);
    -- From here on jobs of this range end, and none begins. A claim that still stands is asked for its attempts, recorded or not.
    select coalesce(array_agg(distinct p.job_id), '{}') into living
    from (select job_id from engine.place union all select unnest(ids) from engine.claim) p
    where p.job_id >= low and p.job_id < bound;
    if by_retention then
        execute format($q$
            select coalesce(array_agg(k.job_id), '{}') from (select u.job_id from (
                select a.job_id from engine.attempt_%1$s a
                where (a.outcome = 'completed' and a.finished_at >= $2) or (a.outcome = 'cancelled' and a.finished_at >= $3)
                    or (a.outcome = 'dead' and a.finished_at >= $4)
                    or (a.outcome in ('dead', 'cancelled') and engine.is_wanted(a.job_id, a.outcome))
                union
                select j.id from engine.job_%1$s j join engine.place p on p.job_id = j.parent_id
                ) u
                where u.job_id <> all ($1)
                limit 100001) k$q$, bound)
            into ended using living, engine.kept_since('completed'), engine.kept_since('cancelled'), engine.kept_since('dead');
        if cardinality(ended) > 100000 then
            return -1;
        end if;
    end if;
    execute format('create temporary table kept_jobs on commit drop as select * from engine.job_%s where id = any ($1)', bound)
        using living || ended;
    execute format('create temporary table kept_attempts on commit drop as select * from engine.attempt_%s where job_id = any ($1)', bound)
        using ended;

    -- Parents first, as every other statement locks them: otherwise a claim that waits for the partition deadlocks with the drop.
    lock table only engine.job, only engine.attempt in access exclusive mode;
    execute format('lock table engine.job_kept, engine.attempt_kept, engine.job_%s, engine.attempt_%s in access exclusive mode', bound, bound);
    execute format('insert into kept_attempts select * from engine.attempt_%s where job_id = any ($1)', bound) using living;
    execute format('drop table engine.job_%s, engine.attempt_%s', bound, bound);
    insert into engine.job select * from kept_jobs;
    get diagnostics kept = row_count;
    insert into engine.attempt select * from kept_attempts;
    delete from engine.restart r where r.job_id >= low and r.job_id < bound and r.job_id not in (select k.id from kept_jobs k);
    drop table kept_jobs, kept_attempts;
    return kept;
end
$$;
comment on function engine.retire_partition(bigint,boolean) is 'Drops a pair of partitions; what lives moves to the default ones.';

create function engine.retry_policy_fault(max_attempts integer, backoff_seconds integer[], alert_on_attempt integer, escalate_on_attempt integer) returns text
language sql immutable
as $$
select case
    when coalesce(max_attempts, 0) not between 1 and 1000
        then format('max_attempts is %s and must be from 1 to 1000', coalesce(max_attempts::text, 'null'))
    when coalesce(cardinality(backoff_seconds), 0) not between 1 and 1000 or array_ndims(backoff_seconds) <> 1
        then format('backoff_seconds is %s and must be a list of 1 to 1000 delays', coalesce(left(backoff_seconds::text, 100), 'null'))
    when array_lower(backoff_seconds, 1) <> 1
        then format('backoff_seconds is %s and its delays must be numbered from 1', left(backoff_seconds::text, 100))
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

create function engine.roll_up_attempts() returns bigint
language plpgsql security definer
set jit = off
set search_path = pg_catalog, pg_temp
as $$
declare
    from_at timestamptz;
    to_at timestamptz := engine.now() - interval '2 seconds';
    added bigint;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('engine.roll_up_attempts', 0)) then
        return 0;
    end if;
    select coalesce(m.rolled_to, to_at - interval '1 hour') into from_at from engine.measured m;
    -- After the clock was set back, wait for it for a minute; then go by it.
    if from_at > to_at and from_at < to_at + interval '1 minute' then
        return 0;
    end if;
    with ended as (
        select date_trunc('minute', a.finished_at) as minute, a.outcome, coalesce(a.category, '') as category, count(*) as ended
        from engine.attempt a
        where a.finished_at > from_at and a.finished_at <= to_at
        group by 1, 2, 3
    ),
    noted as (
        insert into engine.attempt_minute as m (minute, outcome, category, ended)
        select e.minute, e.outcome, e.category, e.ended from ended e
        on conflict (minute, outcome, category) do update set ended = m.ended + excluded.ended
    )
    select coalesce(sum(e.ended), 0)::bigint into added from ended e;
    update engine.measured set rolled_to = to_at;
    delete from engine.attempt_minute m where m.minute < to_at - interval '2 days';
    return added;
end
$$;
comment on function engine.roll_up_attempts() is 'Counts the attempts that ended since it was called last into engine.attempt_minute.';

create function engine.run_schedule(schedule text, at timestamp with time zone, asked_by text, note text, kind text, args jsonb, queue text, priority smallint, unique_key text, max_attempts smallint, limit_key text DEFAULT NULL::text, deadline timestamp with time zone DEFAULT NULL::timestamp with time zone, unique_args boolean DEFAULT false, unique_for interval DEFAULT NULL::interval, unique_until_started boolean DEFAULT false, replaces boolean DEFAULT false) returns TABLE(id bigint, created boolean, queue_depth bigint, queue_age_ms bigint)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
    made record;
begin
    if not exists (select from engine.schedule s where s.name = schedule) then
        raise exception 'there is no schedule %', schedule using errcode = 'RW014';
    end if;
    select * into made from engine.enqueue(kind, args, queue, priority, unique_key => unique_key, max_attempts => max_attempts,
        limit_key => limit_key, deadline => deadline, unique_args => unique_args, unique_for => unique_for,
        unique_until_started => unique_until_started, replaces => replaces) e;
    insert into engine.occurrence (schedule, occurrence, job_id, how, by, note)
    values (schedule, at, made.id, 'manual', asked_by,
        case when made.created then note else 'no new job: this one holds the unique key' end);
    return query select made.id, made.created, made.queue_depth, made.queue_age_ms;
end
$$;

create function engine.settle_aftermath(most integer DEFAULT 500) returns integer
language plpgsql security definer
set lock_timeout = 10ms
set search_path = pg_catalog, pg_temp
as $$
declare
    ended record;
    dealt_with integer := 0;
    waited integer := 0;
begin
    for ended in
        select a.job_id, a.reached from engine.aftermath a
        where not a.reached
           or not exists (select from engine.child c where c.parent_id = a.job_id and not c.stays)
        -- Children are stopped first: what undoes may be refused, by a queue that is full, for as long as that is so.
        order by a.reached, random()
        limit most
        for update skip locked
    loop
        exit when dealt_with >= most or waited >= 20;
        begin
            if ended.reached then
                perform engine.enqueue_unwind(ended.job_id);
                delete from engine.aftermath a where a.job_id = ended.job_id;
                dealt_with := dealt_with + 1;
            else
                dealt_with := dealt_with + 1 + engine.stop_children(ended.job_id, most - dealt_with);
            end if;
        exception
            when lock_not_available then waited := waited + 1;
            -- Of a queue that is full producers hear.
            when sqlstate 'RW020' then null;
            when others then
                raise warning 'what is left after workflow % waits: %', ended.job_id, sqlerrm;
        end;
    end loop;
    return dealt_with;
end
$$;

create function engine.settle_cancels(most integer DEFAULT 100) returns integer
language plpgsql security definer
set jit = off
set lock_timeout = 10ms
set search_path = pg_catalog, pg_temp
as $$
declare
    asked record;
    settled integer := 0;
    waited integer := 0;
begin
    for asked in
        select r.job_id, r.requested_by, r.reason from engine.cancel_request r
        where r.requested_at < engine.now() - interval '1 second'
          and not exists (
              select from engine.claim c, unnest(c.ids, c.attempts) u (job_id, attempt)
              where u.job_id = r.job_id
                and not exists (select from engine.attempt a where a.job_id = u.job_id and a.attempt = u.attempt))
        -- Those that have to wait keep not the same others from their turn each time.
        order by random()
        limit most
    loop
        exit when waited >= 20;
        begin
            if engine.cancel_waiting(asked.job_id,
                    concat_ws(': ', format('cancelled by %s', asked.requested_by), asked.reason)) <> 'running' then
                settled := settled + 1;
            elsif not exists (select from engine.job j where j.id = asked.job_id) then
                delete from engine.cancel_request r where r.job_id = asked.job_id;
                settled := settled + 1;
            end if;
        exception
            -- A transaction that goes on holds its place: later.
            when lock_not_available then waited := waited + 1;
            when others then
                raise warning 'the request to cancel job % stands: %', asked.job_id, sqlerrm;
        end;
    end loop;
    return settled;
end
$$;

create function engine.slots_held() returns TABLE(job_id bigint, limit_key text)
language sql stable
as $$
    select s.job_id, s.limit_key from engine.paused p join engine.slot s on s.limit_key = p.name
    where p.scope = 'key'
    union
    select s.job_id, s.limit_key from engine.paused p join engine.slot s on starts_with(s.limit_key, left(p.name, -1))
    where p.scope = 'key' and right(p.name, 1) = '*'
$$;
comment on function engine.slots_held() is 'Jobs that have a slot of a limit key that is held. Reads the slots whole where a pause is of all keys that begin alike.';

create function engine.stop_children(parent bigint, most integer) returns integer
language plpgsql security definer
set lock_timeout = 10ms
set search_path = pg_catalog, pg_temp
as $$
declare
    open record;
    asked integer := 0;
    few integer := least(most, 50);
    words text := format('its workflow %s was cancelled or died', parent);
begin
    for open in
        select c.job_id from engine.child c
        where c.parent_id = parent and not c.stays and not exists (select from engine.cancel_request r where r.job_id = c.job_id)
        order by c.job_id
        -- Each is a subtransaction, so they are not many at a time.
        limit few
    loop
        insert into engine.cancel_request (job_id, requested_by, reason) values (open.job_id, 'the engine', words)
        on conflict do nothing;
        -- What is between two places at this moment, or runs, meets the request later.
        begin
            perform engine.cancel_waiting(open.job_id, words);
        exception
            -- Nor does one whose place a transaction that goes on holds, and it keeps its siblings from no end of theirs.
            when lock_not_available then null;
        end;
        asked := asked + 1;
    end loop;
    if asked < few then
        update engine.aftermath a set reached = true where a.job_id = parent;
    end if;
    return asked;
end
$$;

create function engine.take_back_held(most integer DEFAULT NULL::integer) returns integer
language plpgsql
set enable_seqscan = off
set jit = off
as $$
declare
    moved integer;
begin
    if not exists (select from engine.paused where scope = 'key') then
        return 0;
    end if;
    -- Of the workers one at a time looks; a pause takes back its own in any case.
    if most is not null and not pg_try_advisory_xact_lock(hashtextextended('engine.take_back_held', 0)) then
        return 0;
    end if;
    with held as materialized (
        select h.job_id, h.limit_key from engine.slots_held() h
    ),
    idle as materialized (
        select r.ctid as place from engine.ready r
        where r.job_id = any (array(select h.job_id from held h)) and r.position <> r.job_id
        limit most
        for update skip locked
    ),
    back as (
        delete from engine.ready where ctid = any (array(select i.place from idle i)) returning job_id, lane_id, attempt
    ),
    -- Its own id is a position that nobody else can have, and before all that came later.
    waits as (
        insert into engine.waiting (position, job_id, lane_id, attempt, limit_key)
        select case when b.attempt > 1 then engine.head_of_line(b.job_id) else b.job_id end, b.job_id, b.lane_id, b.attempt, h.limit_key
        from back b join held h on h.job_id = b.job_id
    )
    delete from engine.slot where job_id in (select b.job_id from back b);
    get diagnostics moved = row_count;
    return moved;
end
$$;
comment on function engine.take_back_held(integer) is 'Has up to so many jobs wait again that were let in and have not begun, where their limit key is held. Returns how many.';

create function engine.take_notices(max_rows integer) returns TABLE(level text, queue text, kind text, category text, times integer, jobs bigint[], attempt integer, error text, first_at timestamp with time zone, last_at timestamp with time zone)
language sql
as $$
    with taken as (
        delete from engine.notice where id in (select n.id from engine.notice n order by n.id limit max_rows for update skip locked)
        returning *
    )
    select t.level, min(t.queue), t.kind, t.category, count(*)::integer,
           (array_agg(t.job_id order by t.id desc))[1:5], max(t.attempt), (array_agg(t.error order by t.id desc))[1], min(t.at), max(t.at)
    from taken t
    group by t.level, t.kind, t.category
    order by min(t.id)
$$;

create function engine.take_over_unique_key(kind text, key text, from_id bigint, to_id bigint, since timestamp with time zone, runs boolean) returns boolean
language plpgsql
as $$
begin
    perform from engine.unique_key u where u.kind = $1 and u.key = $2 and u.job_id = from_id for update;
    if not found then
        return false;
    end if;
    -- The end of an attempt looks at the key, locks it for that, and decides by it whether the job comes back.
    if runs and not engine.is_running(from_id) then
        raise exception 'it runs no more' using errcode = 'RW098';
    end if;
    update engine.unique_key u set job_id = to_id, since = $5 where u.kind = $1 and u.key = $2;
    return true;
exception when sqlstate 'RW098' then
    return false;
end
$$;

create function engine.trace_parent(given text) returns text
language sql stable
as $$
select '00-' || substring(left(coalesce($1, current_setting('engine.trace_parent', true)), 569) from
    '^(?:00-(?=.{52}(?: |$))|(?!00|ff)[0-9a-f]{2}-(?=.{52}(?:[- ]|$)))((?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?: [!-~][ -~]*$)?)')
$$;

create function engine.unpark(ids bigint[]) returns integer
language plpgsql
as $$
declare
    gone record;
    woken integer := 0;
    held bigint[] := '{}';
begin
    if ids is null or cardinality(ids) = 0 then
        return 0;
    end if;
    -- The claimers' floor trusts that whoever takes a position already has a transaction id.
    perform pg_current_xact_id();
    for gone in
        delete from engine.parked p
        where p.ctid = any (array(select o.ctid from engine.parked o where o.job_id = any (ids) order by o.job_id for update))
        returning p.job_id, p.lane_id, p.attempt, (select j.limit_key from engine.job j where j.id = p.job_id) as limit_key
    loop
        if gone.limit_key is not null and exists (select from engine.slot s where s.job_id = gone.job_id)
            and (select l.cap = 0 from engine.limit_of_key(gone.limit_key) l) then
            insert into engine.waiting (position, job_id, lane_id, attempt, limit_key)
            values (engine.head_of_line(gone.job_id), gone.job_id, gone.lane_id, gone.attempt, gone.limit_key);
            held := held || gone.job_id;
        else
            perform engine.put_in_place(gone.job_id, gone.lane_id, gone.attempt, null, gone.limit_key);
        end if;
        woken := woken + 1;
    end loop;
    if cardinality(held) > 0 then
        perform engine.give_back(held);
    end if;
    return woken;
end
$$;

create function engine.wake() returns void
language plpgsql
as $$
begin
    if exists (select from engine.idle) then
        perform pg_notify('rawops', '');
    end if;
end
$$;

create function raw_ops.address_of(customer raw_ops.customers) returns jsonb
language sql immutable
as $$
    select jsonb_build_object(
        'address1', nullif(btrim(customer.address1), ''), 'address2', nullif(btrim(customer.address2), ''),
        'city', nullif(btrim(customer.city), ''), 'province', nullif(btrim(customer.region), ''),
        'zip', nullif(btrim(customer.postcode), ''), 'country_code', nullif(upper(btrim(customer.country_code)), ''))
$$;

create function raw_ops.address_state(change raw_ops.address_changes, target text) returns text
language sql immutable
as $$
    select case target when 'shopify' then change.shopify_state when 'seal' then change.seal_state end
$$;

create function raw_ops.addresses_before(change_id uuid, target text) returns jsonb
language plpgsql
as $$
declare
    change raw_ops.address_changes;
    settled bigint;
begin
    select * into change from raw_ops.address_changes a where a.id = change_id;
    select max(a.number) into settled
    from raw_ops.address_changes a
    where a.customer_id = change.customer_id and a.number < change.number
      and case raw_ops.address_state(a, target)
          when 'synced' then true
          -- From before there were jobs: nobody's work.
          when 'failed' then case target when 'shopify' then a.shopify_begun_at else a.seal_begun_at end is null
          -- The target kept nothing that could have been moved, unless somebody called the change off, which is said in words. What
          -- Shopify's documents say moves nothing either.
          when 'not_needed' then a.source is distinct from 'shopify' and raw_ops.is_address(a.new_address)
              and case target when 'shopify' then a.shopify_error else a.seal_error end is null
          else false
      end;
    return coalesce((
        select jsonb_agg(distinct a.old_address)
        from raw_ops.address_changes a
        where a.customer_id = change.customer_id and a.number between coalesce(settled, 0) + 1 and change.number
          and jsonb_typeof(a.old_address) = 'object'), '[]');
end
$$;

create function raw_ops.advance_shipment(parcel uuid, wanted raw_ops.shipment_status, at timestamp with time zone) returns raw_ops.shipment_status
language plpgsql
as $$
declare
    now_is raw_ops.shipments;
    becomes raw_ops.shipment_status;
begin
    select * into now_is from raw_ops.shipments s where s.id = parcel for update;
    becomes := raw_ops.next_shipment_status(now_is.status, wanted);
    if becomes = now_is.status then
        return becomes;
    end if;
    if now_is.status = 'CREATED' then
        update raw_ops.shipments s set status = 'DISPATCHED', dispatched_at = coalesce(s.dispatched_at, at) where s.id = parcel
        returning s.* into now_is;
        if becomes not in ('DELIVERED', 'RETURNED') then
            perform raw_ops.mail_of_dispatch(now_is);
        end if;
        now_is.status := 'CREATED';
    end if;
    update raw_ops.shipments s
    set status = becomes, delivered_at = case when becomes = 'DELIVERED' then coalesce(s.delivered_at, at) else s.delivered_at end
    where s.id = parcel and s.status <> becomes;
    update raw_ops.orders o set status = 'DISPATCHED'
    where o.id = now_is.order_id and o.status in ('PAID', 'PARTIALLY_ALLOCATED', 'ALLOCATED', 'EXPORTED');
    -- An order has arrived when the last of its parcels has.
    update raw_ops.orders o set status = 'DELIVERED'
    where o.id = now_is.order_id and o.status = 'DISPATCHED' and becomes = 'DELIVERED'
      and not exists (select from raw_ops.shipments s where s.order_id = o.id and s.status <> 'DELIVERED');
    -- What held it up is over.
    update raw_ops.exceptions_queue e set resolved = true, resolved_at = engine.now(), resolved_by = 'system'
    where becomes = 'DELIVERED' and e.shipment_id = parcel and e.issue_type = 'courier_exception' and not e.resolved;
    perform raw_ops.log_event('SHIPMENT', parcel, 'shipment_' || lower(becomes::text), format('The parcel is %s', becomes),
        jsonb_build_object('order_id', now_is.order_id, 'status_before', now_is.status, 'at', at), null, parcel);
    return becomes;
end
$$;

create function raw_ops.alert_channel(severity text) returns text
language sql immutable
as $$ select case severity when 'critical' then 'ops-urgent' when 'warning' then 'ops-alerts' else 'daily-ops' end $$;

create function raw_ops.alert_window() returns interval
language sql stable
as $$ select make_interval(mins => raw_ops.threshold('alerts.window_minutes')::integer) $$;

create function raw_ops.allocate_order_to_batches() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform raw_ops.request_allocation(new.id, new.status);
    return null;
end
$$;

create function raw_ops.allocate_order_to_batches(order_id uuid) returns TABLE(outcome text, allocation_group_id uuid, units_allocated integer, units_missing integer)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    run uuid := gen_random_uuid();
    now_status raw_ops.order_status;
    missing text;
begin
    select o.status into now_status from raw_ops.orders o where o.id = $1 for no key update;
    if not found then
        raise exception 'there is no order %', $1 using errcode = '22023';
    end if;
    outcome := raw_ops.allocation_outcome($1, now_status);
    units_allocated := 0;
    units_missing := 0;
    if outcome = 'closed' and now_status <> 'PENDING' then
        update raw_ops.allocation_queue q set state = 'cancelled', completed_at = engine.now(), last_error = 'the order is ' || now_status
        where q.order_id = $1 and q.state in ('pending', 'processing');
    elsif outcome not in ('closed', 'no_lines') then
        units_allocated := raw_ops.reserve_for_order($1, run);
        outcome := raw_ops.allocation_outcome($1, now_status);
        missing := raw_ops.missing_stock($1);
        allocation_group_id := case when units_allocated > 0 then run end;
        select coalesce(sum(n.units), 0) into units_missing from raw_ops.order_needs($1) n;
        perform raw_ops.set_allocation_status($1, outcome);
        perform raw_ops.settle_allocation_queue($1, missing);
        perform raw_ops.log_allocation($1, outcome, units_allocated, missing, run);
        -- Whoever asked: it looks again when those have had their turn. A job that asks has a key, and so makes no second one.
        if units_missing > 0 and raw_ops.leaves_stock_to_older($1) then
            perform raw_ops.enqueue_allocation($1);
        end if;
    end if;
    return next;
end
$$;

create function raw_ops.allocate_pending_orders() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform raw_ops.refresh_on_hand(new.product_id);
    perform raw_ops.wake_waiting_orders(new.product_id);
    return null;
end
$$;

create function raw_ops.allocation_figures() returns TABLE(alert_type text, severity text, value numeric, message text)
language sql stable
as $$
    select f.alert_type, f.severity, f.value, f.message
    from (
        select count(distinct q.order_id) filter (where q.state = 'pending') as orders,
            raw_ops.minutes_since(min(q.created_at) filter (where q.state = 'pending')) / 60 as hours,
            count(*) filter (where q.state = 'failed') as failed
        from raw_ops.allocation_queue q
        where q.state in ('pending', 'failed')
    ) n
    cross join lateral (values
        ('waiting_orders', 'warning', n.orders::numeric, n.orders || ' orders wait for stock'),
        ('oldest_wait_hours', 'critical', coalesce(n.hours, 0), 'an order has waited ' || round(n.hours, 1) || ' hours for stock'),
        ('failed_requests', 'warning', n.failed::numeric, n.failed || ' requests for stock failed for good')
    ) f (alert_type, severity, value, message)
$$;

create function raw_ops.allocation_outcome(wanted_order uuid, now_status raw_ops.order_status) returns text
language plpgsql stable
as $$
begin
    if now_status not in ('PAID', 'PARTIALLY_ALLOCATED', 'ALLOCATED') then
        return 'closed';
    elsif not exists (select from raw_ops.order_items i where i.order_id = wanted_order) then
        -- Of one whose request was cancelled a refund left nothing; of another the lines may be to come.
        return case when exists (select from raw_ops.allocation_queue q where q.order_id = wanted_order and q.state = 'cancelled')
            then 'closed' else 'no_lines' end;
    elsif not exists (select from raw_ops.order_needs(wanted_order)) then
        return 'allocated';
    elsif exists (select from raw_ops.allocations a join raw_ops.order_items i on i.id = a.order_item_id
                  where i.order_id = wanted_order) then
        return 'partial';
    end if;
    return 'waiting';
end
$$;

create function raw_ops.apply_report(mail_id uuid, delivery text, metric text, reason text) returns void
language plpgsql
as $$
declare
    mail raw_ops.outbox;
    words text := concat_ws(': ', 'Customer.io reports ' || metric, nullif(reason, ''));
begin
    select * into mail from raw_ops.outbox o where o.id = mail_id for update;
    if metric in ('failed', 'dropped', 'undeliverable') then
        update raw_ops.outbox o
        set state = case when o.state in ('sending', 'unknown') then 'failed' else o.state end,
            delivery_id = coalesce(o.delivery_id, delivery), error_message = words, updated_at = engine.now()
        where o.id = mail_id;
    elsif mail.state <> 'sent' and metric not in ('drafted', 'attempted') then
        perform raw_ops.mark_sent(mail_id, delivery);
    end if;
    if metric in ('failed', 'dropped', 'undeliverable', 'bounced', 'spammed') then
        insert into raw_ops.ops_events (entity_type, entity_id, kind, message, meta, source_system)
        values ('MESSAGE', mail_id, 'EMAIL_NOT_DELIVERED', words, jsonb_build_object('metric', metric, 'template', mail.event_type), 'customerio');
    end if;
end
$$;

create function raw_ops.apply_shopify_customer(customer uuid, payload jsonb, updated_at timestamp with time zone) returns void
language plpgsql
as $$
declare
    -- Some documents name all addresses and no default: then there is none.
    address jsonb := raw_ops.shopify_object(payload, 'default_address');
    names_address boolean := (payload ? 'default_address' or payload ? 'addresses') and not raw_ops.awaits_address_sync(customer);
begin
    perform set_config('rawops.address_source', 'shopify', true);
    update raw_ops.customers c
    set first_name = case when payload ? 'first_name' then raw_ops.shopify_text(payload, 'first_name') else c.first_name end,
        last_name = case when payload ? 'last_name' then raw_ops.shopify_text(payload, 'last_name') else c.last_name end,
        phone = case when payload ? 'phone' then raw_ops.shopify_text(payload, 'phone') else c.phone end,
        marketing_opt_in = coalesce(raw_ops.shopify_marketing(payload), c.marketing_opt_in),
        address_json = case when names_address then address else c.address_json end,
        address1 = case when names_address then raw_ops.shopify_text(address, 'address1') else c.address1 end,
        address2 = case when names_address then raw_ops.shopify_text(address, 'address2') else c.address2 end,
        city = case when names_address then raw_ops.shopify_text(address, 'city') else c.city end,
        region = case when names_address then raw_ops.shopify_text(address, 'province') else c.region end,
        postcode = case when names_address then raw_ops.shopify_text(address, 'zip') else c.postcode end,
        country_code = case when names_address then raw_ops.shopify_text(address, 'country_code') else c.country_code end,
        updated_at_shopify = apply_shopify_customer.updated_at
    where c.id = customer;
    perform set_config('rawops.address_source', '', true);
end
$$;

create function raw_ops.apply_shopify_order(inbox raw_ops.webhook_inbox, updated_at timestamp with time zone, old raw_ops.orders, wanted raw_ops.order_status) returns uuid
language plpgsql
as $$
declare
    payload jsonb := inbox.raw_payload;
    new_status raw_ops.order_status := raw_ops.next_order_status(old.status, wanted);
    customer uuid := raw_ops.shopify_customer_id(payload, inbox.id);
    saved_order uuid;
begin
    perform raw_ops.save_shopify_customer(customer, payload);
    saved_order := raw_ops.save_shopify_order(payload, updated_at, customer, new_status);
    perform raw_ops.settle_shopify_items(payload, old, saved_order, new_status, inbox.id);
    perform raw_ops.request_allocation(saved_order, new_status);
    if new_status = 'PENDING' and payload ->> 'financial_status' in ('pending', 'authorized', 'partially_paid')
        and payload ->> 'test' is distinct from 'true' then
        perform raw_ops.hold_stock(saved_order);
    end if;
    if wanted in ('CANCELLED', 'REFUNDED') and new_status in ('EXPORTED', 'DISPATCHED') then
        perform raw_ops.tell_of_late_end(saved_order, format(
            'Shopify says order %s is %s, but it is %s already: stop it at the packer or expect it back',
            payload ->> 'name', wanted, new_status), inbox.id);
    end if;
    if old.status = 'EXPORTED' and new_status = 'EXPORTED' and exists (
        select from raw_ops.orders o
        where o.id = saved_order and row(o.ship_name, o.ship_address1, o.ship_address2, o.ship_city, o.ship_postcode, o.ship_country)
            is distinct from row(old.ship_name, old.ship_address1, old.ship_address2, old.ship_city, old.ship_postcode, old.ship_country))
    then
        perform raw_ops.tell_of_late_change(saved_order, 'address_changed_late', format(
            'Shopify sends order %s to another address now, and the packer has the one before: tell him, or stop it',
            payload ->> 'name'), inbox.id);
    end if;
    perform raw_ops.log_event('ORDER', saved_order, case when old.id is null then 'order_created' else 'order_updated' end,
        format('Order %s from Shopify: %s, %s %s', payload ->> 'name', new_status, payload ->> 'total_price', payload ->> 'currency'),
        jsonb_build_object('inbox_id', inbox.id, 'topic', inbox.topic, 'shopify_order_id', payload ->> 'id',
            'financial_status', payload -> 'financial_status', 'test', payload -> 'test',
            'status_before', old.status, 'status', new_status),
        'shopify', inbox.id);
    return saved_order;
end
$$;

create function raw_ops.attempt_rank(status text) returns integer
language sql immutable parallel safe
as $$ select case status when 'success' then 3 when 'failed' then 2 when 'processing' then 1 else 0 end $$;

create function raw_ops.audit_temperature(parcel uuid, place text, file text, arrival numeric, class text) returns void
language plpgsql
as $$
declare
    known uuid := (select a.id from raw_ops.temperature_audits a where a.shipment_id = parcel order by a.created_at, a.id limit 1);
    is_core boolean := place is distinct from 'corner';
begin
    if known is null then
        insert into raw_ops.temperature_audits (shipment_id, pass_class, created_at) values (parcel, class, engine.now()) returning id into known;
    end if;
    update raw_ops.temperature_audits a
    set logger_core_csv_url = case when is_core then file else a.logger_core_csv_url end,
        arrival_core_celsius = case when is_core then arrival else a.arrival_core_celsius end,
        logger_corner_csv_url = case when is_core then a.logger_corner_csv_url else file end,
        arrival_corner_celsius = case when is_core then a.arrival_corner_celsius else arrival end,
        pass_class = case when 'FAIL' in (a.pass_class, class) then 'FAIL' when 'REVIEW' in (a.pass_class, class) then 'REVIEW' else class end
    where a.id = known;
    update raw_ops.shipments s
    set courier_temp_compliance = (select case a.pass_class when 'PASS' then 'COMPLIANT' when 'FAIL' then 'BREACH' else 'UNKNOWN' end
        from raw_ops.temperature_audits a where a.id = known)
    where s.id = parcel;
end
$$;

create function raw_ops.awaits_address_sync(customer uuid) returns boolean
language plpgsql stable
as $$
begin
    return exists (
        select from raw_ops.address_changes a
        where a.customer_id = customer and a.shopify_state in ('pending', 'telling', 'failed')
          and (a.shopify_state <> 'failed' or (a.shopify_begun_at is not null and not exists (
              select from raw_ops.address_changes n
              where n.customer_id = customer and n.number > a.number and n.shopify_state = 'synced'))));
end
$$;

create function raw_ops.begin_address_sync(change_id uuid, target text) returns TABLE(step text, old_address jsonb, new_address jsonb, shopify_customer_id text, first_name text, last_name text, subscriptions text[])
language plpgsql
as $$
#variable_conflict use_column
declare
    change raw_ops.address_changes;
    person raw_ops.customers;
    live text[];
begin
    -- Statements of their own, so that what comes after sees what the holder before has written.
    select * into person from raw_ops.customers c
    where c.id = (select a.customer_id from raw_ops.address_changes a where a.id = $1) for no key update;
    select * into change from raw_ops.address_changes a where a.id = $1 for update;
    live := array(select s.seal_subscription_id from raw_ops.subscriptions s
        where s.customer_id = person.id and s.status in ('active', 'paused') and s.seal_subscription_id is not null order by 1);
    step := coalesce(raw_ops.address_state(change, target), 'gone');
    if step in ('pending', 'telling', 'failed') then
        step := case
            when exists (
                select from raw_ops.address_changes n
                where n.customer_id = person.id and n.number > change.number and raw_ops.address_state(n, target) <> 'not_needed') then 'superseded'
            when exists (
                select from raw_ops.address_changes o
                where o.customer_id = person.id and o.number < change.number and raw_ops.address_state(o, target) = 'telling'
                  and case target when 'shopify' then o.shopify_begun_at else o.seal_begun_at end > engine.now() - interval '5 minutes') then 'wait'
            when target = 'shopify' and person.shopify_customer_id is null or target = 'seal' and live = '{}' then 'not_needed'
            else 'tell'
        end;
        if step <> 'wait' then
            perform raw_ops.set_address_state(change.id, target, case step when 'tell' then 'telling' else step end, null);
        end if;
    end if;
    return query select step, change.old_address, change.new_address, person.shopify_customer_id, person.first_name, person.last_name, live;
end
$$;

create function raw_ops.begin_export(export_id uuid) returns TABLE(step text, batch_id text, version text, file_sha256 text, document text)
language plpgsql
as $$
#variable_conflict use_column
declare
    export raw_ops.export_outbox;
begin
    select * into export from raw_ops.export_outbox e where e.id = export_id for update;
    if not found then
        step := 'gone';
    elsif export.status in ('confirmed', 'cancelled') then
        step := export.status;
    else
        step := case when export.sent_at is null then 'send' else 'confirm' end;
        update raw_ops.export_outbox e
        set status = case when export.sent_at is null then 'sending' else 'sent' end, attempts = e.attempts + 1,
            last_attempt_at = engine.now()
        where e.id = export_id;
    end if;
    batch_id := export.batch_id;
    version := export.manifest_version;
    file_sha256 := export.file_sha256;
    document := export.csv_data::text;
    return next;
end
$$;

create function raw_ops.begin_message(mail_id uuid) returns TABLE(step text, target text, event_type text, payload jsonb)
language plpgsql
as $$
declare
    mail raw_ops.outbox;
begin
    select * into mail from raw_ops.outbox o where o.id = mail_id for update;
    if not found then
        step := 'gone';
    elsif mail.state in ('pending', 'failed') then
        update raw_ops.outbox o
        set state = 'sending', attempts = o.attempts + 1, first_sent_at = coalesce(o.first_sent_at, engine.now()),
            last_sent_at = engine.now(), updated_at = engine.now()
        where o.id = mail_id;
        step := 'send';
    elsif mail.state = 'sending' then
        step := raw_ops.settle_message(mail_id, 'unknown', null, 'a worker stopped between the request and its answer');
    else
        step := mail.state;
    end if;
    target := mail.target;
    event_type := mail.event_type;
    payload := mail.payload_json;
    return next;
end
$$;

create function raw_ops.call_customer_figures() returns void
language plpgsql
as $$
begin
    if not exists (select from raw_ops.customer_figures_due d where d.xact = pg_current_xact_id() and d.is_call) then
        insert into raw_ops.customer_figures_due (is_call) values (true);
    end if;
end
$$;
comment on function raw_ops.call_customer_figures() is 'Sees to it that what this transaction owes is counted when it commits.';

create function raw_ops.call_off_address_change(change_id uuid, by_whom text) returns TABLE(shopify text, seal text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    change raw_ops.address_changes;
    words text := format('called off by %s', btrim(by_whom));
begin
    if coalesce(btrim(by_whom), '') = '' then
        raise exception 'a change is called off with the name of who does it' using errcode = '22023';
    end if;
    select * into change from raw_ops.address_changes a where a.id = change_id for update;
    if not found then
        raise exception 'there is no change of address %', change_id using errcode = 'P0002';
    elsif change.shopify_state = 'telling' or change.seal_state = 'telling' then
        raise exception 'change % is being told just now: Shopify is %, Seal is %; try again in a minute', change_id,
            change.shopify_state, change.seal_state using errcode = '22023';
    elsif not (change.shopify_state in ('pending', 'failed') or change.seal_state in ('pending', 'failed')) then
        raise exception 'change % is told to nobody any more: Shopify is %, Seal is %', change_id,
            change.shopify_state, change.seal_state using errcode = '22023';
    end if;
    if change.shopify_state in ('pending', 'failed') then
        perform raw_ops.set_address_state(change_id, 'shopify', 'not_needed', words);
    end if;
    if change.seal_state in ('pending', 'failed') then
        perform raw_ops.set_address_state(change_id, 'seal', 'not_needed', words);
    end if;
    perform raw_ops.log_event('CUSTOMER', change.customer_id, 'address_change_called_off',
        format('%s called off a change of address: Shopify was %s, Seal was %s', btrim(by_whom), change.shopify_state, change.seal_state),
        jsonb_build_object('by', btrim(by_whom), 'change_id', change_id), null, change_id);
    return query select a.shopify_state, a.seal_state from raw_ops.address_changes a where a.id = change_id;
end
$$;

create function raw_ops.cancelled_units(shopify_order bigint, wanted_line text, in_hand uuid) returns integer
language sql stable
as $$
    select coalesce(sum(l.units), 0)::integer
    from (
        select distinct on (i.raw_payload ->> 'id') i.raw_payload
        from raw_ops.webhook_inbox i
        where i.shopify_order_id = shopify_order and i.source = 'shopify' and i.topic = 'refunds/create'
          and (i.processing_status = 'success' or i.id = in_hand)
        order by i.raw_payload ->> 'id', i.received_at desc
    ) d
    cross join raw_ops.shopify_cancelled_lines(d.raw_payload) l
    where l.line_id = wanted_line
$$;

create function raw_ops.check_shopify_order(topic text, payload jsonb) returns void
language plpgsql immutable
as $$
begin
    if topic not like 'orders/%' then
        raise exception 'topic % is not about an order', topic using errcode = '22023';
    end if;
    if jsonb_typeof(payload) <> 'object' or jsonb_typeof(payload -> 'line_items') is distinct from 'array'
        or raw_ops.shopify_text(payload, 'id') is null or raw_ops.shopify_text(payload, 'currency') is null
        or raw_ops.shopify_text(payload, 'total_price') is null or raw_ops.shopify_text(payload, 'subtotal_price') is null
        or coalesce(raw_ops.shopify_text(payload, 'updated_at'), raw_ops.shopify_text(payload, 'created_at')) is null
    then
        raise exception 'the payload is not a Shopify order: id, currency, total_price, subtotal_price, line_items or updated_at is missing'
            using errcode = '22023';
    end if;
    if exists (select from jsonb_array_elements(payload -> 'line_items') l where raw_ops.shopify_text(l, 'id') is null) then
        raise exception 'a line item has no id: it could not be recognised when the order changes' using errcode = '22023';
    end if;
end
$$;

create function raw_ops.clear_alert(key text, title text, message text) returns uuid
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    last raw_ops.alert_log;
    told raw_ops.alert_log;
    made uuid;
begin
    perform pg_advisory_xact_lock(hashtextextended('raw_ops.alert ' || clear_alert.key, 0));
    select * into last from raw_ops.alert_log a where a.idempotency_key = clear_alert.key order by a.sent_at desc, a.is_recovery desc limit 1;
    if last.id is null or last.is_recovery then
        perform engine.await_standby();
        return null;
    end if;
    -- What was only counted is over before anybody was told of it again.
    update raw_ops.alert_log a set idempotency_key = null where a.idempotency_key = clear_alert.key and a.delivery_status = 'suppressed';
    select * into told from raw_ops.alert_log a where a.idempotency_key = clear_alert.key order by a.sent_at desc, a.is_recovery desc limit 1;
    if told.id is null or told.is_recovery then
        perform engine.await_standby();
        return null;
    end if;
    insert into raw_ops.alert_log as a
        (sent_at, channel, severity, title, source_check, payload_json, delivery_status, idempotency_key, is_recovery)
    values (engine.now(), told.channel, 'info', clear_alert.title, told.source_check,
            jsonb_build_object('message', clear_alert.message, 'fields', '[]'::jsonb), 'pending', clear_alert.key, true)
    returning a.id into made;
    return made;
end
$$;

create function raw_ops.clear_failures() returns integer
language plpgsql
as $$
declare
    over record;
    cleared integer := 0;
begin
    for over in
        select l.idempotency_key as key, l.title from (
            select distinct on (a.idempotency_key) a.* from raw_ops.alert_log a
            where a.source_check = 'job_failures' and a.idempotency_key is not null
              and a.sent_at > (select engine.now()) - interval '7 days'
            order by a.idempotency_key, a.sent_at desc, a.is_recovery desc
        ) l
        where not l.is_recovery and l.delivery_status = 'sent'
          and l.sent_at <= (select engine.now()) - (select raw_ops.alert_window())
          and not exists (
              select from engine.scheduled s join engine.lane n on n.id = s.lane_id
              where s.attempt > 1 and n.kind = split_part(l.idempotency_key, ' ', 2))
        order by l.idempotency_key
        limit 100
    loop
        if raw_ops.clear_alert(over.key, over.title, 'No failure for ' || raw_ops.threshold('alerts.window_minutes') || ' minutes, and no job waits for a retry.') is not null then
            cleared := cleared + 1;
        end if;
    end loop;
    return cleared;
end
$$;

create function raw_ops.close_privacy_request(request_id uuid, who text, answer text) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    update raw_ops.privacy_requests p
    set closed_at = engine.now(), closed_by = who, answer = close_privacy_request.answer
    where p.id = request_id and p.closed_at is null;
    if not found then
        perform engine.await_standby();
        return false;
    end if;
    return true;
end
$$;

create function raw_ops.complaints(VARIADIC said text[]) returns text
language sql immutable parallel safe
as $$ select nullif(array_to_string(said, '; '), '') $$;

create function raw_ops.cosine_distance(a real[], b real[]) returns double precision
language plpgsql immutable strict parallel safe
as $$
begin
    if cardinality(a) <> cardinality(b) then
        raise exception 'vectors of % and of % numbers cannot be compared', cardinality(a), cardinality(b)
            using errcode = '22000';
    end if;
    return (
        select 1 - sum(x::double precision * y)
            / nullif(sqrt(sum(x::double precision * x)) * sqrt(sum(y::double precision * y)), 0)
        from unnest(a, b) as u (x, y)
    );
end
$$;
comment on function raw_ops.cosine_distance(real[],real[]) is '0 for one direction, 1 for a right angle, 2 for opposites; null for a vector of zeros.';

create function raw_ops.count_due_customers() returns trigger
language plpgsql security definer
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_generic_plan
set search_path = pg_catalog, pg_temp
as $$
declare
    due uuid[];
    shipped uuid[];
    locked uuid[] := '{}';
begin
    with gone as (
        delete from raw_ops.customer_figures_due d where d.xact = pg_current_xact_id() returning d.customer_id, d.order_id
    )
    select array_agg(distinct g.customer_id) filter (where g.customer_id is not null),
        array_agg(distinct g.order_id) filter (where g.order_id is not null)
    into due, shipped from gone g;

    -- An order may go to another customer while this one's turn is waited for: ask again whose it is until nobody is new.
    loop
        due := array(
            select unnest(due)
            union select o.customer_id from raw_ops.orders o where o.id = any (shipped) and o.customer_id is not null
            order by 1);
        exit when due = locked;
        perform raw_ops.lock_customer_figures(due);
        locked := due;
    end loop;
    if locked <> '{}' then
        perform raw_ops.refresh_customer_figures(locked);
    end if;
    return null;
end
$$;

create function raw_ops.count_fulfilled(wanted raw_ops.orders, in_hand uuid) returns integer
language plpgsql
as $$
declare
    changed integer;
begin
    with sent as (
        select l ->> 'id' as line_id, sum((l ->> 'quantity')::integer)::integer as units
        from raw_ops.shopify_fulfillments(wanted.shopify_order_id::bigint, in_hand) f
        cross join jsonb_array_elements(raw_ops.shopify_list(f.payload, 'line_items')) l
        where f.payload ->> 'status' = 'success'
        group by 1
    )
    update raw_ops.order_items i set fulfilled_qty = least(i.qty, s.units)
    from sent s
    where i.order_id = wanted.id and i.shopify_line_item_id = s.line_id and least(i.qty, s.units) > i.fulfilled_qty;
    get diagnostics changed = row_count;
    update raw_ops.orders o set fulfillment_status = n.word
    from (
        select case when bool_and(i.fulfilled_qty >= i.qty) then 'fulfilled' else 'partial' end as word
        from raw_ops.order_items i where i.order_id = wanted.id having sum(i.fulfilled_qty) > 0
    ) n
    where o.id = wanted.id and changed > 0 and o.fulfillment_status is distinct from n.word;
    return changed;
end
$$;

create function raw_ops.courier_time(written text) returns timestamp with time zone
language sql stable parallel safe
as $$
    select case
        when written ~* '(Z|[+-][0-9]{2}:?[0-9]{2})$' then written::timestamptz
        else written::timestamp at time zone 'Europe/London'
    end
$$;

create function raw_ops.courier_word(courier text, code text) returns text
language sql stable
as $$
    select coalesce(
        (select m.event_type from raw_ops.courier_event_mapping m where upper(m.courier_name) = upper(courier) and m.event_code = code),
        case when upper(courier) = 'DPD' then case code when '000' then 'PRE_ADVICE' when '009' then 'IN_TRANSIT' when '004' then 'AT_HUB'
            when '015' then 'OUT_FOR_DELIVERY' when '001' then 'DELIVERED' end end)
$$;

create function raw_ops.dispatch_from_batch(shipment uuid, batch uuid, units integer) returns void
language plpgsql
as $$
declare
    there integer;
begin
    select floor(coalesce(b.qty_on_hand, 0)) into there from raw_ops.batches b where b.id = batch;
    update raw_ops.batches b set qty_reserved = greatest(b.qty_reserved - units, 0) where b.id = batch;
    if there > 0 then
        perform raw_ops.move_stock(batch, -least(units, there), 'dispatch', format('shipment %s', shipment));
    end if;
    if there < units then
        perform raw_ops.log_event('BATCH', batch, 'stock_mismatch',
            format('%s units left with a shipment and only %s were on hand', units, there),
            jsonb_build_object('shipment_id', shipment, 'units', units, 'on_hand', there), null, shipment);
    end if;
end
$$;

create function raw_ops.dispatch_parcel(shipped raw_ops.orders, said jsonb, left_at timestamp with time zone) returns uuid
language plpgsql
as $$
declare
    made uuid;
    fault text;
begin
    -- A statement of its own, so that the next one sees what the holder before has written.
    perform pg_advisory_xact_lock(hashtextextended('raw_ops.parcel ' || (said ->> 'tracking_no'), 0));
    if exists (
        select from raw_ops.shipments s
        where s.tracking_no = said ->> 'tracking_no' and s.status not in ('DELIVERED', 'RETURNED') and s.order_id <> shipped.id)
    then
        raise exception 'parcel % is on its way for another order', said ->> 'tracking_no' using errcode = '22023';
    end if;
    -- Scans find the parcel by when it was made, and may be older than the file.
    insert into raw_ops.shipments as s
        (order_id, batch_id, courier, service, tracking_no, created_at, dispatched_at, dispatch_temp_recorded, coolant_units_used, address_json)
    values (
        shipped.id, raw_ops.only_batch_of(shipped.id), coalesce(said ->> 'courier', 'DPD'), said ->> 'service', said ->> 'tracking_no',
        least(engine.now(), left_at), left_at, (said ->> 'temperature_c')::numeric, (said ->> 'coolant_units')::smallint,
        jsonb_strip_nulls(jsonb_build_object('name', shipped.ship_name, 'address1', shipped.ship_address1, 'address2', shipped.ship_address2,
            'city', shipped.ship_city, 'postcode', shipped.ship_postcode, 'country', shipped.ship_country)))
    returning s.id into made;
    fault := case
        when shipped.status in ('PENDING', 'CANCELLED', 'REFUNDED') then 'is ' || shipped.status
        when raw_ops.has_ended_late(shipped.id) then 'Shopify has ended'
    end;
    if fault is not null then
        insert into raw_ops.exceptions_queue (order_id, shipment_id, issue_type, issue_description, raw_data, created_at)
        values (shipped.id, made, 'dispatch_unexpected', format('The packer sent order %s, which %s', shipped.external_order_ref, fault),
            said, engine.now());
        perform from raw_ops.raise_alert('warning', 'The packer sent an order that he should not have',
            format('Order %s, which %s, has left as parcel %s.', shipped.external_order_ref, fault, said ->> 'tracking_no'),
            key => 'dispatch unexpected', source_check => 'dispatch');
    end if;
    return made;
end
$$;

create function raw_ops.dispatch_stock(shipment uuid, shipped_order uuid) returns integer
language plpgsql
as $$
declare
    part record;
    taken integer := 0;
begin
    perform raw_ops.lock_products(array(select distinct f.product_id from raw_ops.open_allocations(shipped_order) f));
    perform from raw_ops.batches b
    where b.id in (select f.batch_id from raw_ops.open_allocations(shipped_order) f) order by b.id for no key update;

    for part in
        with gone as (
            insert into raw_ops.stock_dispatches (allocation_id, shipment_id, qty, dispatched_at)
            select f.allocation_id, shipment, f.units, engine.now() from raw_ops.open_allocations(shipped_order) f
            on conflict (allocation_id) do nothing
            returning allocation_id, qty
        )
        select a.batch_id, sum(g.qty)::integer as units
        from gone g join raw_ops.allocations a on a.id = g.allocation_id
        group by a.batch_id order by a.batch_id
    loop
        perform raw_ops.dispatch_from_batch(shipment, part.batch_id, part.units);
        taken := taken + part.units;
    end loop;
    return taken;
end
$$;

create function raw_ops.drop_holds(held_order uuid) returns integer
language plpgsql
as $$
declare
    dropped integer;
begin
    with gone as (
        delete from raw_ops.soft_reservations h where h.order_id = held_order returning h.batch_id, h.units
    ),
    opened as (
        update raw_ops.batches b set qty_soft_reserved = greatest(coalesce(b.qty_soft_reserved, 0) - g.units, 0)
        from gone g where b.id = g.batch_id
    )
    select coalesce(sum(g.units), 0) into dropped from gone g;
    return dropped;
end
$$;

create function raw_ops.enqueue_allocation(waiting_order uuid) returns void
language plpgsql
as $$
begin
    perform engine.enqueue('allocation.allocate_order', jsonb_build_object('order_id', waiting_order),
        queue => 'allocation', unique_key => waiting_order::text)
    where not raw_ops.is_seeding();
end
$$;

create function raw_ops.enqueue_row() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    -- Of a row only these columns are read: turned into JSON, it would carry whole documents along.
    row_key text := format('r.%I::text', tg_argv[3]);
    row_due text := case when tg_argv[4] <> '' then format('r.%I', tg_argv[4]) else 'null::timestamptz' end;
    row_trace text := case when tg_argv[5] <> '' then format('r.%I ->> ''traceparent''', tg_argv[5]) else 'null::text' end;
    keys text[];
    args jsonb[];
    due timestamptz[];
    traces text[];
begin
    if raw_ops.is_seeding() then
        return null;
    end if;
    if tg_level = 'ROW' then
        execute format('select array[%s], array[%s], array[%s] from (select ($1).*) r', row_key, row_due, row_trace)
            into keys, due, traces using new;
    else
        execute format('select array_agg(%s), array_agg(%s), array_agg(%s) from new_rows r where %s', row_key, row_due, row_trace, tg_argv[6])
            into keys, due, traces;
    end if;
    if keys is not null then
        select array_agg(jsonb_build_object(tg_argv[2], key) order by n) into args from unnest(keys) with ordinality u (key, n);
        perform engine.enqueue_each(tg_argv[0], tg_argv[1], args, keys, due, traces);
    end if;
    return null;
end
$$;

create function raw_ops.enqueue_webhooks() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    made record;
begin
    if raw_ops.is_seeding() then
        return null;
    end if;
    if tg_level = 'ROW' then
        perform engine.enqueue_each(k.kind, split_part(k.kind, '.', 1), array[jsonb_build_object('inbox_id', new.id)],
            array[new.id::text], array[null::timestamptz], array[new.raw_headers ->> 'traceparent'])
        from raw_ops.webhook_kind(new.source, new.topic) k (kind) where k.kind is not null;
        return null;
    end if;
    for made in
        select w.kind, array_agg(jsonb_build_object('inbox_id', w.id) order by w.n) as args, array_agg(w.id::text order by w.n) as keys,
            array_agg(w.trace order by w.n) as traces, array_agg(null::timestamptz) as due
        from (
            select r.id, r.raw_headers ->> 'traceparent' as trace, raw_ops.webhook_kind(r.source, r.topic) as kind, row_number() over () as n
            from new_rows r where r.processing_status in ('pending', 'retrying')
        ) w
        where w.kind is not null
        group by w.kind order by w.kind
    loop
        perform engine.enqueue_each(made.kind, split_part(made.kind, '.', 1), made.args, made.keys, made.due, made.traces);
    end loop;
    return null;
end
$$;

create function raw_ops.execute_manual_inventory_adjustment(batch_id uuid, qty_change integer, reason text, adjusted_by text) returns TABLE(movement_id uuid, qty_before numeric, qty_after numeric)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    batch raw_ops.batches;
begin
    if coalesce(qty_change, 0) = 0 or coalesce(btrim(reason), '') = '' or coalesce(btrim(adjusted_by), '') = '' then
        raise exception 'an adjustment needs a change that is not 0, a reason and the name of who makes it' using errcode = '22023';
    end if;
    perform raw_ops.lock_products(array(select b.product_id from raw_ops.batches b where b.id = $1));
    select * into batch from raw_ops.batches b where b.id = $1 for no key update;
    if batch.product_id is null then
        raise exception 'there is no batch % of a product', $1 using errcode = '22023';
    elsif coalesce(batch.qty_on_hand, 0) + qty_change < coalesce(batch.qty_reserved, 0) then
        raise exception 'batch % has % units on hand, % of them reserved: it cannot change by %; cancel orders that hold them first',
            batch.batch_code, coalesce(batch.qty_on_hand, 0), coalesce(batch.qty_reserved, 0), qty_change using errcode = '23514';
    end if;

    qty_before := coalesce(batch.qty_on_hand, 0);
    qty_after := qty_before + qty_change;
    movement_id := raw_ops.move_stock($1, qty_change, 'manual_adjustment', format('%s (%s)', btrim(reason), btrim(adjusted_by)));
    perform raw_ops.log_event('BATCH', $1, 'inventory_adjusted', format('%s changed %s by %s: %s',
        btrim(adjusted_by), batch.batch_code, qty_change, btrim(reason)),
        jsonb_build_object('qty_change', qty_change, 'qty_before', qty_before, 'qty_after', qty_after,
            'adjusted_by', btrim(adjusted_by), 'reason', btrim(reason)), null, movement_id);
    if qty_change > 0 and batch.status = 'RELEASED' then
        perform raw_ops.wake_waiting_orders(batch.product_id);
    end if;
    return next;
end
$$;

create function raw_ops.first_expiry() returns date
language sql
as $$ select raw_ops.today() + raw_ops.threshold('allocation.min_shelf_days')::integer $$;

create function raw_ops.fn_check_lab_sla_v2() returns jsonb
language plpgsql
as $$
declare
    days numeric := raw_ops.threshold('lab_sla.max_days');
    held bigint;
    late bigint;
    codes text;
begin
    select count(*), count(*) filter (where t.is_late), string_agg(t.batch_code, ', ' order by t.held_since) filter (where t.is_late)
    into held, late, codes
    from raw_ops.v_lab_sla_tracking t where t.status = 'QA_HOLD' and t.lab_result_id is null;
    return raw_ops.monitor_answer('lab_sla', case when late > 0 then 'warning' else 'ok' end, 'Lab results',
        case when late > 0 then format('no lab result after %s days: %s', days, codes) else 'no lab result is late' end,
        json_build_object('awaiting_result', held, 'late', late));
end
$$;

create function raw_ops.fn_check_order_ingestion_slo_v2() returns jsonb
language plpgsql
as $$
declare
    waiting bigint;
    oldest_minutes numeric;
    p95_ms integer;
    max_ms integer;
    said text;
begin
    select q.depth, raw_ops.minutes_since(q.oldest_received_at) into waiting, oldest_minutes from raw_ops.v_retry_queue_depth q;
    select percentile_disc(0.95) within group (order by i.processing_duration_ms), max(i.processing_duration_ms) into p95_ms, max_ms
    from raw_ops.webhook_inbox i
    where i.processing_status = 'success' and i.processed_at > (select engine.now()) - interval '1 hour';

    said := raw_ops.complaints(
        case when waiting > raw_ops.threshold('order_ingestion.max_waiting') then waiting || ' webhooks wait' end,
        case when oldest_minutes > raw_ops.threshold('order_ingestion.max_age_minutes')
            then 'the oldest has waited ' || oldest_minutes || ' minutes' end,
        case when p95_ms > raw_ops.threshold('order_ingestion.max_p95_ms') then '5 % take longer than ' || p95_ms || ' ms' end,
        case when max_ms > raw_ops.threshold('order_ingestion.max_ms') then 'the slowest took ' || max_ms || ' ms' end);
    return raw_ops.monitor_answer('order_ingestion_slo', case when said is null then 'ok' else 'warning' end,
        'Order ingestion', coalesce(said, 'orders come in as they should'),
        json_build_object('waiting', waiting, 'oldest_minutes', oldest_minutes, 'p95_ms', p95_ms, 'max_ms', max_ms));
end
$$;

create function raw_ops.fn_check_outbox_health_v2() returns jsonb
language plpgsql
as $$
declare
    pending bigint;
    oldest_minutes numeric;
    failed bigint;
    unknown bigint;
    said text;
begin
    select o.pending, raw_ops.minutes_since(o.oldest_pending_at), o.failed, o.unknown
    into pending, oldest_minutes, failed, unknown
    from raw_ops.v_outbox_health o;

    said := raw_ops.complaints(
        case when pending > raw_ops.threshold('outbox.max_pending') then pending || ' messages are unsent' end,
        case when oldest_minutes > raw_ops.threshold('outbox.max_age_minutes')
            then 'the oldest has waited ' || oldest_minutes || ' minutes' end,
        case when failed > 0 then failed || ' failed for good' end,
        case when unknown > 0 then unknown || ' may have been sent or not and need a person' end);
    return raw_ops.monitor_answer('outbox_health', case when said is null then 'ok' else 'warning' end,
        'Outbox', coalesce(said, 'messages go out as they should'),
        json_build_object('pending', pending, 'oldest_minutes', oldest_minutes, 'failed', failed, 'unknown', unknown));
end
$$;

create function raw_ops.fn_check_stock_levels_v2() returns jsonb
language plpgsql
as $$
declare
    low bigint;
    critical bigint;
    drifted bigint;
    names text;
    said text;
begin
    select count(*), count(*) filter (where a.severity = 'critical'),
        string_agg(a.sku || ' has ' || a.units_available || case when a.units_waiting > 0
            then ' and ' || a.units_waiting || ' are waited for' else '' end, ', ')
    into low, critical, names from raw_ops.get_low_stock_alerts() a;
    select count(*) into drifted from raw_ops.get_current_inventory_for_reconciliation() r where abs(r.drift_kg) > 0.001;

    said := raw_ops.complaints(names, case when drifted > 0 then drifted || ' batches differ from inventory' end);
    return raw_ops.monitor_answer('stock_levels',
        case when critical > 0 then 'critical' when said is not null then 'warning' else 'ok' end,
        'Stock', coalesce(said, 'every product has stock'),
        json_build_object('low_products', low, 'critical_products', critical, 'drifted_batches', drifted));
end
$$;

create function raw_ops.fn_check_support_queue_v2() returns jsonb
language plpgsql
as $$
declare
    tickets bigint;
    oldest_hours numeric;
    escalated bigint;
    said text;
begin
    select count(*), round(raw_ops.minutes_since(min(t.created_at) filter (where t.status = 'pending')) / 60, 2)
    into tickets, oldest_hours
    from raw_ops.support_tickets t where t.status not in ('resolved', 'closed');
    select count(*) into escalated from raw_ops.escalation_queue e where e.processed_at is null;

    said := raw_ops.complaints(
        case when escalated > 0 then escalated || ' escalations wait for a person' end,
        case when tickets > raw_ops.threshold('support.max_open') then tickets || ' tickets are open' end,
        case when oldest_hours > raw_ops.threshold('support.max_age_hours')
            then 'the oldest has waited ' || oldest_hours || ' hours' end);
    return raw_ops.monitor_answer('support_queue',
        case when escalated > 0 then 'critical' when said is not null then 'warning' else 'ok' end,
        'Support', coalesce(said, 'tickets are answered as they should'),
        json_build_object('open', tickets, 'oldest_hours', oldest_hours, 'escalations', escalated));
end
$$;

create function raw_ops.fn_check_working_capital_v2() returns jsonb
language plpgsql
as $$
declare
    held bigint;
    unpriced bigint;
    tied numeric;
    verdict text;
begin
    select m.batches, m.batches_without_cost, m.held_gbp into held, unpriced, tied from raw_ops.v_working_capital_metrics m;
    verdict := case when tied > raw_ops.threshold('working_capital.critical_gbp') then 'critical'
                    when tied > raw_ops.threshold('working_capital.warning_gbp') then 'warning' else 'ok' end;
    return raw_ops.monitor_answer('working_capital', verdict, 'Working capital',
        format('£%s are held in QA in %s batches%s', tied, held,
            case when unpriced > 0 then format(', %s of them without a cost', unpriced) else '' end),
        json_build_object('held_gbp', tied, 'batches', held, 'without_cost', unpriced));
end
$$;

create function raw_ops.fn_daily_snapshot_v2() returns jsonb
language plpgsql
as $$
declare
    day jsonb := raw_ops.get_daily_snapshot();
begin
    return raw_ops.monitor_answer('daily_snapshot', 'ok', 'Daily operations, ' || (day ->> 'day'),
            format('%s orders, £%s; %s shipments left; %s orders wait for stock',
                day ->> 'orders', day ->> 'revenue_gbp', day ->> 'shipments_dispatched', day ->> 'orders_waiting'),
            day::json)
        || '{"alert_triggered": true, "channel": "daily-ops"}';
end
$$;

create function raw_ops.fn_decrement_inventory_on_dispatch() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from raw_ops.stock_dispatches d where d.shipment_id = new.id) then
        return null;
    end if;
    -- A second parcel of an order finds nothing left to take; an order without any allocation is a fault.
    if raw_ops.dispatch_stock(new.id, new.order_id) = 0 then
        perform raw_ops.log_event('SHIPMENT', new.id, 'dispatch_without_stock',
            'A shipment left and its order has no stock allocated: count the batch and adjust it by hand',
            jsonb_build_object('order_id', new.order_id, 'batch_id', new.batch_id), null, new.id)
        where not exists (select from raw_ops.ops_events e where e.entity_id = new.id and e.kind = 'dispatch_without_stock')
          and not exists (select from raw_ops.allocations a join raw_ops.order_items i on i.id = a.order_item_id
                          where i.order_id = new.order_id);
    end if;
    return null;
end
$$;

create function raw_ops.follow_dead_letter() returns trigger
language plpgsql
set search_path = pg_catalog
as $$
begin
    execute tg_argv[0] using new;
    return null;
exception when others then
    -- A record that cannot be marked, such as one whose key in the arguments is no key, must not keep the job alive.
    raise warning 'the record of dead letter % is not marked: %', new.id, sqlerrm;
    return null;
end
$$;
comment on function raw_ops.follow_dead_letter() is 'Runs the statement in its argument; $1 there is the dead letter.';

create function raw_ops.follow_fulfillment(wanted uuid, payload jsonb, at timestamp with time zone) returns uuid
language plpgsql
as $$
declare
    numbers text[] := array(
        select btrim(n) from jsonb_array_elements_text(raw_ops.shopify_list(payload, 'tracking_numbers')) n where btrim(n) <> ''
        union select raw_ops.shopify_text(payload, 'tracking_number') where raw_ops.shopify_text(payload, 'tracking_number') is not null);
    parcel uuid;
    moved raw_ops.shipment_status := raw_ops.shopify_parcel_status(payload ->> 'shipment_status');
begin
    select s.id into parcel from raw_ops.shipments s
    where s.order_id = wanted and s.tracking_no = any (numbers) order by s.created_at desc limit 1;
    if parcel is null and cardinality(numbers) = 1 then
        update raw_ops.shipments s set tracking_no = numbers[1], courier = coalesce(s.courier, raw_ops.shopify_text(payload, 'tracking_company'))
        where s.order_id = wanted and s.tracking_no is null and s.status not in ('DELIVERED', 'RETURNED')
          and not exists (select from raw_ops.shipments o where o.order_id = wanted and o.id <> s.id)
          and not exists (select from raw_ops.shipments o where o.tracking_no = numbers[1] and o.status not in ('DELIVERED', 'RETURNED'))
        returning s.id into parcel;
    end if;
    if parcel is not null and moved is not null then
        perform raw_ops.advance_shipment(parcel, moved, at);
    end if;
    return parcel;
end
$$;

create function raw_ops.free_allocations(ended_order uuid) returns integer
language plpgsql
as $$
declare
    products uuid[] := array(select distinct f.product_id from raw_ops.open_allocations(ended_order) f);
    freed integer;
    given_back jsonb;
begin
    perform raw_ops.lock_products(products);
    perform from raw_ops.batches b
    where b.id in (select f.batch_id from raw_ops.open_allocations(ended_order) f) order by b.id for no key update;

    with gone as (
        delete from raw_ops.allocations a using raw_ops.open_allocations(ended_order) f where a.id = f.allocation_id
        returning a.batch_id, a.qty_allocated
    ),
    sums as (
        select g.batch_id, sum(g.qty_allocated) as units from gone g group by g.batch_id
    ),
    opened as (
        update raw_ops.batches b set qty_reserved = greatest(b.qty_reserved - s.units, 0) from sums s where b.id = s.batch_id
    )
    select coalesce(sum(s.units), 0), jsonb_object_agg(s.batch_id, s.units) into freed, given_back from sums s;
    if freed > 0 then
        perform raw_ops.log_event('ORDER', ended_order, 'allocation_freed', 'The order ended and gave back ' || freed || ' units',
            jsonb_build_object('units', freed, 'batches', given_back), null, null);
        perform raw_ops.wake_waiting_orders(products);
    end if;
    return freed;
end
$$;

create function raw_ops.free_batches(product uuid, first_expiry date) returns TABLE(batch_id uuid, expiry_date date, produced_at date, units integer)
language sql stable
as $$
    select b.id, b.expiry_date, b.produced_at, floor(b.qty_on_hand - coalesce(b.qty_reserved, 0) - coalesce(b.qty_soft_reserved, 0))::integer
    from raw_ops.batches b
    where b.product_id = product and b.status = 'RELEASED'
      and b.qty_on_hand - coalesce(b.qty_reserved, 0) - coalesce(b.qty_soft_reserved, 0) >= 1
      and (b.expiry_date is null or b.expiry_date >= first_expiry)
$$;

create function raw_ops.free_line(item uuid, item_order uuid, keep integer) returns integer
language plpgsql
as $$
declare
    products uuid[] := array(select distinct f.product_id from raw_ops.open_allocations(item_order) f);
    freed integer;
begin
    perform raw_ops.lock_products(products);
    perform from raw_ops.batches b
    where b.id in (select f.batch_id from raw_ops.open_allocations(item_order) f) order by b.id for no key update;

    with held as (
        select a.id, a.batch_id, a.qty_allocated,
            sum(a.qty_allocated) over (order by b.expiry_date nulls last, b.produced_at, b.id, a.created_at, a.id) as upto
        from raw_ops.open_allocations(item_order) f
        join raw_ops.allocations a on a.id = f.allocation_id
        join raw_ops.batches b on b.id = a.batch_id
        where a.order_item_id = item
    ),
    given as (
        select h.id, h.batch_id, h.qty_allocated, least(h.qty_allocated, h.upto - keep) as units from held h where h.upto > keep
    ),
    gone as (
        delete from raw_ops.allocations a using given g where a.id = g.id and g.units = g.qty_allocated
    ),
    cut as (
        update raw_ops.allocations a set qty_allocated = a.qty_allocated - g.units from given g
        where a.id = g.id and g.units < g.qty_allocated
    ),
    sums as (
        select g.batch_id, sum(g.units) as units from given g group by g.batch_id
    ),
    opened as (
        update raw_ops.batches b set qty_reserved = greatest(b.qty_reserved - s.units, 0) from sums s where b.id = s.batch_id
    )
    select coalesce(sum(s.units), 0) into freed from sums s;
    if freed > 0 then
        perform raw_ops.wake_waiting_orders(i.product_id) from raw_ops.order_items i where i.id = item and i.product_id is not null;
    end if;
    return freed;
end
$$;

create function raw_ops.free_units(product uuid) returns integer
language plpgsql
as $$
declare
    first_expiry date := raw_ops.first_expiry();
begin
    return (select coalesce(sum(f.units), 0) from raw_ops.free_batches(product, first_expiry) f);
end
$$;

create function raw_ops.generate_public_batch_id(batch_code text) returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    secret bytea;
begin
    if coalesce(btrim(batch_code), '') = '' then
        raise exception 'a public batch id needs a batch code' using errcode = '22023';
    end if;
    select k.key into secret from raw_ops.server_key k where k.name = 'public_batch_id';
    if secret is null then
        raise exception 'the key of public batch ids is missing: %, or insert one with 32 random bytes',
            'restore the row public_batch_id of raw_ops.server_key' using errcode = '55000';
    end if;
    return encode(substr(raw_ops.hmac_sha256(convert_to(batch_code, 'UTF8'), secret), 1, 12), 'hex');
end
$$;

create function raw_ops.get_current_inventory_for_reconciliation() returns TABLE(sku text, product text, batch_id uuid, batch_code text, status raw_ops.batch_status, expiry_date date, qty_on_hand numeric, qty_reserved numeric, qty_available numeric, kg_expected numeric, kg_recorded numeric, drift_kg numeric)
language sql stable
as $$
    select p.sku, p.name, b.id, b.batch_code, b.status, b.expiry_date, q.on_hand, q.reserved, q.on_hand - q.reserved,
        q.on_hand * p.kg, v.kg, v.kg - q.on_hand * p.kg
    from raw_ops.batches b
    cross join lateral (select coalesce(b.qty_on_hand, 0) as on_hand, coalesce(b.qty_reserved, 0) as reserved) q
    left join raw_ops.products p on p.id = b.product_id
    left join lateral (select sum(i.kg_available) as kg from raw_ops.inventory i where i.batch_id = b.id) v on true
    where q.on_hand > 0 or v.kg > 0
    order by p.sku, b.expiry_date, b.batch_code
$$;

create function raw_ops.get_daily_snapshot(day date DEFAULT NULL::date) returns jsonb
language plpgsql
as $$
declare
    wanted date := coalesce(day, raw_ops.today() - 1);
    begins timestamptz := wanted::timestamp at time zone 'Europe/London';
    ends timestamptz := (wanted + 1)::timestamp at time zone 'Europe/London';
begin
    return jsonb_build_object('day', wanted)
        || raw_ops.orders_of_day(begins, ends) || raw_ops.shipments_of_day(begins, ends)
        || jsonb_build_object(
            'batches_released', (select count(*) from raw_ops.batches b where b.released_at >= begins and b.released_at < ends),
            'tickets_opened', (select count(*) from raw_ops.support_tickets t where t.created_at >= begins and t.created_at < ends))
        || raw_ops.open_work();
end
$$;

create function raw_ops.get_low_stock_alerts() returns TABLE(product_id uuid, sku text, name text, units_available integer, units_waiting integer, threshold integer, severity text)
language sql
as $$
    with setting as materialized (
        select raw_ops.threshold('stock.low_units') as low, raw_ops.threshold('stock.critical_units') as critical,
            raw_ops.first_expiry() as first_expiry
    ),
    waiting as (
        select n.product_id, sum(n.units)::integer as units
        from (select distinct q.order_id from raw_ops.allocation_queue q where q.state = 'pending') w
        cross join lateral raw_ops.order_needs(w.order_id) n
        group by n.product_id
    )
    select p.id, p.sku, p.name, f.units, coalesce(w.units, 0),
        (case when f.units < s.critical then s.critical else s.low end)::integer,
        case when f.units < s.critical then 'critical' else 'warning' end
    from raw_ops.products p
    cross join setting s
    cross join lateral (
        select coalesce(sum(b.units), 0)::integer as units from raw_ops.free_batches(p.id, s.first_expiry) b
    ) f
    left join waiting w on w.product_id = p.id
    where p.is_active and (f.units < s.low or f.units < s.critical)
    order by f.units - coalesce(w.units, 0), p.sku
$$;

create function raw_ops.give_up_holds(held_order uuid) returns integer
language plpgsql
as $$
declare
    products uuid[] := raw_ops.held_products(held_order);
    dropped integer := 0;
begin
    if cardinality(products) > 0 then
        perform raw_ops.lock_products(products);
        dropped := raw_ops.drop_holds(held_order);
        perform raw_ops.wake_waiting_orders(products);
    end if;
    return dropped;
end
$$;

create function raw_ops.handle_courier_event(event_id uuid) returns TABLE(outcome text, is_mailed boolean, is_case boolean)
language plpgsql
as $$
declare
    scan raw_ops.courier_events;
    parcel raw_ops.shipments;
    mapping raw_ops.courier_event_mapping;
    courier text;
begin
    is_mailed := false;
    is_case := false;
    -- A statement of its own, so that what comes after sees what the holder before has written.
    select * into parcel from raw_ops.shipments s
    where s.id = (select e.shipment_id from raw_ops.courier_events e where e.id = event_id) for update;
    select * into scan from raw_ops.courier_events e where e.id = event_id for update;
    outcome := case
        when scan.id is null then 'gone'
        when scan.notification_channel is not null then 'known'
        when parcel.status in ('DELIVERED', 'RETURNED') and scan.event_type is distinct from parcel.status::text then 'overtaken'
        else 'told'
    end;
    if outcome = 'told' then
        courier := coalesce(raw_ops.shopify_text(scan.raw_payload, 'carrier'), parcel.courier, 'DPD');
        select * into mapping from raw_ops.courier_event_mapping m
        where upper(m.courier_name) = upper(courier) and m.event_code = scan.event_code;
        if scan.requires_customer_notification
            and scan.event_time > engine.now() - make_interval(hours => raw_ops.threshold('couriers.notify_within_hours')::integer) then
            is_mailed := raw_ops.mail_of_scan(scan, parcel, mapping);
        end if;
        if scan.event_type in ('EXCEPTION', 'RETURNED') then
            is_case := raw_ops.open_parcel_case(scan, parcel, mapping, courier);
        end if;
    end if;
    if outcome in ('told', 'overtaken') then
        update raw_ops.courier_events e set notification_channel = case when is_mailed then 'email' else 'none' end where e.id = scan.id;
    end if;
    return next;
end
$$;

create function raw_ops.has_arrived_unread(parcel raw_ops.shipments) returns boolean
language sql stable
as $$
    select exists (
        select from raw_ops.webhook_inbox w
        where w.source = 'courier' and w.processing_status in ('pending', 'processing', 'retrying', 'failed')
          and w.raw_payload ->> 'tracking_no' = parcel.tracking_no
          and case when raw_ops.courier_word(coalesce(raw_ops.shopify_text(w.raw_payload, 'carrier'), 'DPD'),
                  coalesce(raw_ops.shopify_text(w.raw_payload, 'event_code'), 'NONE')) in ('DELIVERED', 'RETURNED')
              -- A scan of another parcel that had the number before, as parcel_of knows it.
              then raw_ops.readable_courier_time(w.raw_payload ->> 'event_time') between parcel.created_at - interval '1 day'
                  and parcel.created_at + interval '120 days' end
    )
$$;

create function raw_ops.has_ended_late(wanted_order uuid) returns boolean
language plpgsql stable
as $$
begin
    return exists (select from raw_ops.ops_events e where e.entity_id = wanted_order and e.kind = 'order_ended_late');
end
$$;

create function raw_ops.held_products(held_order uuid) returns uuid[]
language plpgsql stable
as $$
begin
    return array(
        select distinct b.product_id
        from raw_ops.soft_reservations h join raw_ops.batches b on b.id = h.batch_id where h.order_id = held_order);
end
$$;

create function raw_ops.held_units(held_order uuid) returns jsonb
language plpgsql stable
as $$
begin
    return (
        select coalesce(jsonb_object_agg(h.product_id, h.units), '{}')
        from (
            select b.product_id, sum(h.units) as units
            from raw_ops.soft_reservations h join raw_ops.batches b on b.id = h.batch_id
            where h.order_id = held_order and b.product_id is not null
            group by b.product_id
        ) h);
end
$$;

create function raw_ops.hmac_sha256(message bytea, key bytea) returns bytea
language plpgsql immutable parallel safe
as $$
declare
    block bytea := case when length(key) > 64 then sha256(key) else key end;
begin
    block := block || decode(repeat('00', 64 - length(block)), 'hex');
    return sha256(raw_ops.xor_block(block, 92) || sha256(raw_ops.xor_block(block, 54) || message));
end
$$;

create function raw_ops.hold_from_export(orders uuid[], reasons text[]) returns integer
language plpgsql
as $$
declare
    held integer;
begin
    update raw_ops.orders o set export_state = 'review' where o.id = any (orders) and o.export_state is null;
    update raw_ops.exceptions_queue x set issue_description = 'It cannot be handed to the packer: ' || w.why
    from unnest(orders, reasons) w (id, why)
    where x.order_id = w.id and x.issue_type = 'export_review' and not x.resolved;
    insert into raw_ops.exceptions_queue (order_id, issue_type, issue_description, created_at)
    select w.id, 'export_review', 'It cannot be handed to the packer: ' || w.why, engine.now()
    from unnest(orders, reasons) w (id, why)
    where not exists (select from raw_ops.exceptions_queue x where x.order_id = w.id and x.issue_type = 'export_review' and not x.resolved);
    get diagnostics held = row_count;
    if held > 0 then
        perform from raw_ops.raise_alert('warning', 'Orders that cannot be handed to the packer',
            format('%s orders stay out of the export until their fields are mended; the reasons stand in exceptions_queue.', held),
            key => 'export review', source_check => 'export', times => held);
    end if;
    return held;
end
$$;

create function raw_ops.hold_parcel(held_order uuid, why text) returns void
language plpgsql
as $$
begin
    perform from raw_ops.orders o where o.id = held_order for no key update;
    update raw_ops.exceptions_queue e set issue_description = why
    where e.order_id = held_order and e.issue_type = 'cannot_be_packed' and not e.resolved;
    if not found then
        insert into raw_ops.exceptions_queue (order_id, issue_type, issue_description, created_at)
        values (held_order, 'cannot_be_packed', why, engine.now());
    end if;
end
$$;

create function raw_ops.hold_stock(placed_order uuid) returns integer
language plpgsql
as $$
declare
    until timestamptz;
    products uuid[];
    before jsonb;
    held integer := 0;
begin
    select least(o.ordered_at, engine.now()) + make_interval(mins => raw_ops.threshold('allocation.hold_minutes')::integer) into until
    from raw_ops.orders o where o.id = placed_order and o.status = 'PENDING' for no key update;
    if not found then
        return 0;
    end if;
    products := array(select n.product_id from raw_ops.order_needs(placed_order) n where n.product_id is not null
                      union select unnest(raw_ops.held_products(placed_order)));
    perform raw_ops.lock_products(products);
    before := raw_ops.held_units(placed_order);
    perform raw_ops.drop_holds(placed_order);
    if until > engine.now() then
        select coalesce(sum(raw_ops.hold_units(placed_order, n.product_id, n.units, until)), 0) into held
        from (select n.product_id, sum(n.units) as units from raw_ops.order_needs(placed_order) n
              where n.product_id is not null group by n.product_id order by n.product_id) n;
    end if;
    perform raw_ops.wake_for_freed(before, raw_ops.held_units(placed_order));
    return held;
end
$$;

create function raw_ops.hold_units(placed_order uuid, product uuid, wanted bigint, until timestamp with time zone) returns integer
language plpgsql
as $$
declare
    got integer;
begin
    with free as (
        select f.batch_id, f.units,
            sum(f.units) over (order by f.expiry_date, f.produced_at, f.batch_id) - f.units as before
        from raw_ops.free_batches(product, raw_ops.first_expiry()) f
    ),
    taken as (
        select f.batch_id, least(f.units, wanted - f.before)::integer as units from free f where f.before < wanted
    ),
    held as (
        update raw_ops.batches b set qty_soft_reserved = coalesce(b.qty_soft_reserved, 0) + t.units from taken t where b.id = t.batch_id
    ),
    made as (
        insert into raw_ops.soft_reservations (order_id, batch_id, units, expires_at, created_at)
        select placed_order, t.batch_id, t.units, until, engine.now() from taken t
        returning units
    )
    select coalesce(sum(m.units), 0) into got from made m;
    return got;
end
$$;

create function raw_ops.instruction_fits(instruction raw_ops.packing_instructions, wanted raw_ops.orders) returns boolean
language plpgsql stable
as $$
begin
    return instruction.calculated_by is distinct from 'automated'
        or (instruction.postcode is not distinct from wanted.ship_postcode
            and instruction.country is not distinct from wanted.ship_country
            and coalesce(instruction.food_grams = (select f.food_grams from raw_ops.parcel_to_pack(wanted.id) f), false));
end
$$;

create function raw_ops.is_address(address jsonb) returns boolean
language sql immutable parallel safe
as $$
    select (address ->> 'address1') is not null and (address ->> 'zip') is not null
$$;

create function raw_ops.is_address_forgotten(change raw_ops.address_changes, target text, late timestamp with time zone) returns boolean
language sql stable
as $$
    select raw_ops.address_state(change, target) in ('pending', 'telling')
        and coalesce(case target when 'shopify' then change.shopify_begun_at else change.seal_begun_at end, change.created_at) < late
        and not exists (select from engine.unique_key u where u.kind = 'addresses.sync_to_' || target and u.key = change.id::text)
$$;

create function raw_ops.is_ended_at_shopify(wanted raw_ops.orders) returns boolean
language sql stable
as $$
    select wanted.notes_json ->> 'cancelled_at' is not null
        or coalesce(wanted.notes_json ->> 'financial_status' in ('refunded', 'voided'), false)
        or exists (select from raw_ops.refunds r where r.order_id = wanted.id and r.status = 'processed'
                   having sum(r.amount_gbp) > 0 and sum(r.amount_gbp) >= wanted.total_inc_vat)
$$;

create function raw_ops.is_seeding() returns boolean
language sql stable
as $$ select coalesce(nullif(current_setting('rawops.seeding', true), '')::boolean, false) $$;

create function raw_ops.keep_dispatch_file(inbox_id uuid, file_name text, file_hash text, source text, refs text[], documents jsonb[], faults text[]) returns text
language plpgsql
as $$
declare
    began timestamptz := clock_timestamp();  -- Elapsed work, not a date: the real clock even under a test clock.
    made uuid;
    failed integer;
begin
    insert into raw_ops.processed_3pl_files as f (file_name, file_hash, record_count, source, processed_at)
    values ($2, $3, cardinality(refs), $4, engine.now())
    on conflict on constraint processed_3pl_files_file_hash_key do nothing
    returning f.id into made;
    if made is not null then
        insert into raw_ops.dispatch_import_queue
            (external_order_id, dispatch_data, processing_status, error_message, file_id, line, created_at)
        select w.name, w.document, case when w.fault is null then 'pending' else 'failed' end, w.fault, made, w.line, engine.now()
        from unnest(refs, documents, faults) with ordinality w (name, document, fault, line)
        order by w.line;
        failed := cardinality(array_remove(faults, null));
        if failed > 0 then
            perform raw_ops.warn_of_dispatch_rows(failed);
        end if;
    end if;
    perform raw_ops.settle_webhook(inbox_id, began);
    return case when made is null then 'known' else 'read' end;
end
$$;

create function raw_ops.keep_export(batch_id text, orders uuid[], refs text[], document jsonb, file_name text, file_sha256 text, version text) returns uuid
language plpgsql
as $$
declare
    made uuid;
begin
    insert into raw_ops.export_outbox (batch_id, order_ids, csv_data, file_name, file_sha256, manifest_version, created_at)
    values ($1, $2, $4, $5, $6, $7, engine.now())
    returning id into made;
    update raw_ops.orders o
    set status = 'EXPORTED', export_state = 'queued', external_order_ref = w.name, manifest_version = $7
    from unnest($2, $3) w (id, name) where o.id = w.id;
    update raw_ops.exceptions_queue x set resolved = true, resolved_at = engine.now(), resolved_by = $5
    where x.order_id = any ($2) and x.issue_type = 'export_review' and not x.resolved;
    perform raw_ops.log_event('ORDER', w.id, 'order_export_queued', format('The packer is to get the order as %s in %s', w.name, $5),
        jsonb_build_object('export_id', made, 'external_order_ref', w.name), null, made)
    from unnest($2, $3) w (id, name);
    return made;
end
$$;

create function raw_ops.lab_result_refusal(result raw_ops.lab_results) returns text
language sql stable
as $$
    select case
        when result.id is null then 'it has no lab result'
        when result.outcome <> 'PASS' then format('its lab result is %s and not PASS', result.outcome)
        when result.salmonella_absent is not true then 'its lab result does not state that Salmonella is absent in 25 g'
        when result.listeria_absent is not true and raw_ops.threshold('lab.listeria_required') <> 0
            then 'its lab result does not state that Listeria was not detected in 25 g'
        when result.enterobacteriaceae_cfu_per_g is null or result.enterobacteriaceae_operator = '>'
            then 'its lab result has no count of Enterobacteriaceae'
        when result.enterobacteriaceae_cfu_per_g >= 5000 then 'its lab result has 5000 CFU/g of Enterobacteriaceae or more'
        when result.reported_at > engine.now() then 'its lab result is dated in the future'
        when exists (select from raw_ops.lab_results o where o.pdf_hash = result.pdf_hash and o.batch_id <> result.batch_id)
            then 'the document of its lab result was used for another batch'
        else raw_ops.lab_samples_refusal(result.id)
    end
$$;

create function raw_ops.lab_samples_refusal(result uuid) returns text
language sql stable
as $$
    select case
        when count(*) = 0 then null
        when bool_or(s.salmonella_absent is not true) then 'absence of Salmonella is not stated for every sample'
        when bool_or(s.enterobacteriaceae_cfu_per_g is null or s.enterobacteriaceae_operator = '>')
            then 'Enterobacteriaceae are not counted in every sample'
        when max(s.enterobacteriaceae_cfu_per_g) >= 5000 then 'a sample has 5000 CFU/g of Enterobacteriaceae or more'
        when count(*) filter (where s.enterobacteriaceae_cfu_per_g > 10) > 2
            then 'more than two samples have over 10 CFU/g of Enterobacteriaceae'
    end
    from raw_ops.lab_result_samples s where s.lab_result_id = result
$$;

create function raw_ops.leaves_stock_to_older(wanted_order uuid) returns boolean
language plpgsql
as $$
begin
    return exists (
        select from raw_ops.order_needs(wanted_order) n where n.product_id is not null and raw_ops.free_units(n.product_id) > 0);
end
$$;

create function raw_ops.lines_agreed_at(wanted_order uuid) returns timestamp with time zone
language plpgsql stable
as $$
begin
    return coalesce((select max(e.created_at) from raw_ops.ops_events e
                     where e.entity_id = wanted_order and e.kind = 'order_changed_back'), '-infinity');
end
$$;

create function raw_ops.lines_to_export(max_orders integer) returns TABLE(order_id uuid, order_ref text, ship_name text, ship_phone text, ship_address1 text, ship_address2 text, ship_city text, ship_postcode text, ship_country text, sku text, batch_code text, quantity bigint, box_size text, insulation text, pcm_packs smallint, logger_required boolean, deliver_on date)
language plpgsql
as $$
#variable_conflict use_column
declare
    waits boolean := raw_ops.threshold('export.needs_packing_instructions') <> 0;
    chosen uuid[];
begin
    -- What a person was asked to look at comes last, so that it keeps nothing else out.
    chosen := array(
        select o.id from raw_ops.orders o
        where o.status = 'ALLOCATED' and (o.export_state is null or o.export_state = 'review')
          -- An instruction of another day says that nothing is packed for this order today.
          and (not waits or exists (
              select from raw_ops.packing_instructions p
              where p.order_id = o.id and (p.pack_on is null or p.pack_on = raw_ops.today() or p.calculated_by <> 'automated')
                and raw_ops.instruction_fits(p, o)))
        order by o.export_state is not null, o.ordered_at, o.id limit max_orders for no key update);
    -- A statement of its own, so that it sees what the holders before have written: an instruction may not fit any more.
    return query
        with named as (
            select o.*, 'PR' || coalesce(o.order_number_label, o.shopify_order_id) as wanted,
                count(*) over (partition by coalesce(o.order_number_label, o.shopify_order_id)) as namesakes
            from raw_ops.orders o where o.id = any (chosen)
        ),
        fitting as (
            select p.*
            from raw_ops.orders o
            join raw_ops.packing_instructions p on p.order_id = o.id
            where o.id = any (chosen) and raw_ops.instruction_fits(p, o)
        )
        select n.id,
            coalesce(n.external_order_ref, case
                when n.namesakes = 1 and not exists (select from raw_ops.orders x where x.external_order_ref = n.wanted) then n.wanted
            end, 'PR-' || n.id),
            n.ship_name, n.ship_phone, n.ship_address1, n.ship_address2, n.ship_city, n.ship_postcode, n.ship_country,
            a.sku, a.batch_code, a.units, i.box_size::text, i.insulation_type::text, i.pcm_packs_count, i.logger_required,
            i.deliver_on
        from named n
        left join fitting i on i.order_id = n.id
        left join lateral (
            select s.sku, s.batch_code, sum(s.units)::bigint as units
            from (
                select p.sku, f.units, case
                    when b.status = 'RELEASED' and coalesce(b.expiry_date >= greatest(i.deliver_on, raw_ops.today()), true) then b.batch_code
                end as batch_code
                from raw_ops.open_allocations(n.id) f
                join raw_ops.batches b on b.id = f.batch_id
                left join raw_ops.products p on p.id = f.product_id
            ) s
            group by s.sku, s.batch_code
        ) a on true
        where not waits or i.id is not null
        order by n.ordered_at, n.id, a.sku collate "C", a.batch_code collate "C";
end
$$;

create function raw_ops.lock_customer_figures(customers uuid[]) returns void
language plpgsql
as $$
begin
    -- One pass in the order of ids. The condition that is never true locks the row that is there and leaves it as it is.
    insert into raw_ops.customer_figures as f (customer_id)
    select c.id from raw_ops.customers c where c.id = any (customers) order by c.id
    on conflict (customer_id) do update set orders = f.orders where false;
end
$$;
comment on function raw_ops.lock_customer_figures(uuid[]) is 'Takes the turn of these customers until commit; those without a row get one.';

create function raw_ops.lock_products(products uuid[]) returns void
language plpgsql
as $$
begin
    perform from raw_ops.products p where p.id = any (products) order by p.id for no key update;
end
$$;

create function raw_ops.lock_shopify_order(shopify_id text) returns raw_ops.orders
language plpgsql
as $$
declare
    found_order raw_ops.orders;
begin
    perform pg_advisory_xact_lock(hashtextextended('raw_ops.shopify_order:' || shopify_id, 0));
    select * into found_order from raw_ops.orders o where o.shopify_order_id = shopify_id for update;
    return found_order;
end
$$;

create function raw_ops.log_allocation(wanted_order uuid, outcome text, got integer, missing text, run uuid) returns void
language plpgsql
as $$
begin
    if outcome = 'waiting' then
        perform raw_ops.log_order_once(wanted_order, 'allocation_warning', 'The order ' || missing);
    elsif got > 0 then
        perform raw_ops.log_event('ORDER', wanted_order,
            case outcome when 'allocated' then 'allocation_success' else 'allocation_partial' end,
            'The order got ' || got || ' units' || coalesce(' and ' || missing, ''),
            jsonb_build_object('allocation_group_id', run, 'units', got), null, null);
    end if;
end
$$;

create function raw_ops.log_customer_conflict(kept uuid, other uuid, why text, inbox_id uuid) returns void
language sql
as $$
    select raw_ops.log_event('CUSTOMER', kept, 'customer_conflict', why,
        jsonb_build_object('customer_id', kept, 'other_customer_id', other), 'shopify', inbox_id)
    where not exists (
        select from raw_ops.ops_events e
        where e.entity_id = kept and e.kind = 'customer_conflict' and e.meta ->> 'other_customer_id' = other::text
    )
$$;

create function raw_ops.log_event(entity_type text, entity_id uuid, kind text, message text, meta jsonb, source_system text, source_id uuid) returns void
language sql
as $$
    insert into raw_ops.ops_events (entity_type, entity_id, kind, message, created_at, meta, source_system, source_id)
    values ($1, $2, $3, $4, engine.now(), jsonb_strip_nulls($5), $6, $7)
$$;

create function raw_ops.log_inventory_movement() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if current_setting('rawops.stock_moved', true) = 'on' then
        return null;
    end if;
    insert into raw_ops.inventory_movements
        (sku, movement_type, qty_change, qty_before, qty_after, reference_id, reference_type, notes, created_at)
    select u.sku, 'inventory_edit', u.after - u.before, u.before, u.after, new.batch_id, 'batch',
        format('%s: %s kg became %s kg, by %s', new.location, old.kg_available, new.kg_available, session_user), engine.now()
    from (
        select coalesce(p.sku, b.batch_code) as sku,
            round(old.kg_available / coalesce(nullif(p.kg, 0), 1))::integer as before,
            round(new.kg_available / coalesce(nullif(p.kg, 0), 1))::integer as after
        from raw_ops.batches b left join raw_ops.products p on p.id = b.product_id
        where b.id = new.batch_id
    ) u;
    return null;
end
$$;

create function raw_ops.log_order_once(saved_order uuid, kind text, message text, source_system text DEFAULT NULL::text, source_id uuid DEFAULT NULL::uuid) returns void
language sql
as $$
    select raw_ops.log_event('ORDER', saved_order, $2, $3, null, $4, $5)
    where not exists (select from raw_ops.ops_events e where e.entity_id = saved_order and e.kind = $2)
$$;

create function raw_ops.log_seal_event(inbox raw_ops.seal_webhook_inbox, sub raw_ops.subscriptions, status_before text, outcome text, age timestamp with time zone) returns void
language plpgsql
as $$
declare
    failed jsonb := raw_ops.shopify_object(inbox.payload, 'failed_billing_attempt');
    told jsonb := coalesce(failed, raw_ops.shopify_object(inbox.payload, 'processed_billing_attempt'));
    tried raw_ops.billing_attempts;
    kind text := raw_ops.seal_event(inbox.webhook_topic, status_before, sub.status);
    tries integer := coalesce((told ->> 'number_of_tries')::integer, 1);
    at timestamptz := coalesce(raw_ops.seal_time(told ->> 'completed_at'), age, inbox.received_at);
begin
    if told is not null and exists (
        select from raw_ops.subscription_events e
        where e.seal_subscription_id = sub.seal_subscription_id and e.event_type = kind
          and e.payload ->> 'attempt' = told ->> 'id' and e.payload ->> 'tries' = tries::text
    ) then
        return;
    end if;
    insert into raw_ops.subscription_events
        (subscription_id, seal_subscription_id, customer_id, event_type, event_source, old_status, new_status, payload, event_at, created_at)
    values (sub.id, sub.seal_subscription_id, sub.customer_id, kind, 'seal', status_before, sub.status, jsonb_strip_nulls(jsonb_build_object(
            'inbox_id', inbox.id, 'topic', inbox.webhook_topic, 'outcome', outcome, 'attempt', told ->> 'id',
            'tries', case when told is not null then tries end, 'log', raw_ops.shopify_list(inbox.payload, 'log') -> -1 ->> 'content')),
        at, engine.now());
    if inbox.webhook_topic not in ('billing_attempt/failed', 'billing_attempt/succeeded') then
        return;
    end if;
    select * into tried from raw_ops.billing_attempts b where b.seal_billing_attempt_id = told ->> 'id';
    insert into raw_ops.payment_events
        (customer_id, order_id, subscription_id, event_type, failure_reason, attempt_number, amount_pence, event_metadata, created_at)
    values (sub.customer_id, tried.order_id, sub.id, case when inbox.webhook_topic = 'billing_attempt/failed' then 'payment_failed'
            when tried.retry_count > 0 then 'payment_recovered' else 'payment_succeeded' end,
        case when failed is not null then tried.error_message end, tries, tried.amount_pence, jsonb_strip_nulls(jsonb_build_object(
            'seal_billing_attempt_id', told ->> 'id', 'error_code', tried.error_code, 'inbox_id', inbox.id)), at);
end
$$;

create function raw_ops.mail_of_dispatch(parcel raw_ops.shipments) returns boolean
language plpgsql
as $$
declare
    ordered raw_ops.orders;
    person raw_ops.customers;
begin
    select * into ordered from raw_ops.orders o where o.id = parcel.order_id;
    select * into person from raw_ops.customers c where c.id = ordered.customer_id;
    if person.email is null or ordered.status in ('PENDING', 'CANCELLED', 'REFUNDED') or raw_ops.has_ended_late(ordered.id)
        or parcel.dispatched_at < engine.now() - make_interval(hours => raw_ops.threshold('couriers.notify_within_hours')::integer)
        or raw_ops.has_arrived_unread(parcel) then
        return false;
    end if;
    insert into raw_ops.outbox (created_at, target, event_type, payload_json, idempotency_key)
    select engine.now(), 'customerio', 'order_dispatched', jsonb_build_object('to', person.email, 'customer_id', person.id,
            'shipment_id', parcel.id, 'transactional_message_id', 'order_dispatched', 'message_data', jsonb_strip_nulls(jsonb_build_object(
                'order_number', ordered.order_number_label, 'first_name', person.first_name, 'courier', parcel.courier,
                'service', parcel.service, 'tracking_no', parcel.tracking_no,
                'dispatched_at', to_char(parcel.dispatched_at at time zone 'Europe/London', 'YYYY-MM-DD HH24:MI'),
                'deliver_on', (select p.deliver_on from raw_ops.packing_instructions p where p.order_id = ordered.id limit 1)))),
        format('dispatched %s', parcel.id)
    on conflict (idempotency_key) do nothing;
    return found;
end
$$;

create function raw_ops.mail_of_report(person text, at timestamp with time zone) returns uuid
language sql stable
as $$
    select case when count(*) = 1 then (array_agg(o.id) filter (where o.state = 'unknown'))[1] end
    from raw_ops.outbox o
    where o.state in ('sending', 'unknown') and lower(o.payload_json ->> 'to') = lower(person)
      and o.last_sent_at between at - interval '1 hour' and at + interval '5 minutes'
$$;

create function raw_ops.mail_of_scan(scan raw_ops.courier_events, parcel raw_ops.shipments, mapping raw_ops.courier_event_mapping) returns boolean
language plpgsql
as $$
declare
    person raw_ops.customers;
    ordered raw_ops.orders;
begin
    select * into ordered from raw_ops.orders o where o.id = parcel.order_id;
    select * into person from raw_ops.customers c where c.id = ordered.customer_id;
    if person.email is null then
        return false;
    end if;
    insert into raw_ops.outbox (created_at, target, event_type, payload_json, idempotency_key)
    select engine.now(), 'customerio', t.template, jsonb_build_object('to', person.email, 'customer_id', person.id, 'courier_event_id', scan.id,
            'transactional_message_id', t.template, 'message_data', jsonb_strip_nulls(jsonb_build_object(
                'order_number', ordered.order_number_label, 'courier', mapping.courier_name, 'tracking_no', parcel.tracking_no,
                'first_name', person.first_name, 'message', mapping.customer_message_short,
                'event_time', to_char(scan.event_time at time zone 'Europe/London', 'YYYY-MM-DD HH24:MI')))),
        format('courier %s %s %s', parcel.id, scan.event_code, to_char(scan.event_time at time zone 'Europe/London', 'YYYY-MM-DD'))
    from (select coalesce(nullif(mapping.notification_template_id, ''), 'delivery_exception') as template) t
    on conflict (idempotency_key) do nothing;
    return found;
end
$$;

create function raw_ops.mark_sent(mail_id uuid, delivery text) returns void
language plpgsql
as $$
declare
    mail raw_ops.outbox;
    scan text;
begin
    update raw_ops.outbox o
    set state = 'sent', delivery_id = coalesce(o.delivery_id, delivery), error_message = null, updated_at = engine.now()
    where o.id = mail_id
    returning o.* into mail;
    perform raw_ops.note_email_event(mail);
    scan := mail.payload_json ->> 'courier_event_id';
    -- Whoever writes mails may write anything there, and a mail that was sent is sent.
    if scan ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
        update raw_ops.courier_events e set customer_notified_at = mail.last_sent_at
        where e.id = scan::uuid and e.customer_notified_at is null;
    end if;
end
$$;

create function raw_ops.may_come_right(category text, attempts integer, received_at timestamp with time zone) returns boolean
language sql stable
as $$
    select case
        when category = 'not_ready' then received_at > engine.now() - make_interval(days => raw_ops.threshold('webhooks.not_ready_days')::integer)
        else attempts < raw_ops.threshold('webhooks.max_attempts')
    end and not exists (select from raw_ops.retry_config c where c.error_category = category and c.max_attempts <= 1)
$$;
comment on function raw_ops.may_come_right(text,integer,timestamp with time zone) is 'Whether a webhook that failed so, this often, is tried again by itself.';

create function raw_ops.minutes_since(at timestamp with time zone) returns numeric
language sql
as $$ select coalesce(round(extract(epoch from engine.now() - at) / 60, 1), 0) $$;

create function raw_ops.missing_stock(wanted_order uuid) returns text
language plpgsql stable
as $$
begin
    return (
        select 'waits for ' || string_agg(m.units || ' of ' || m.sku || m.unknown, ', ' order by m.sku)
        from (
            select n.sku, sum(n.units) as units, case when n.product_id is null then ' (no product has this SKU)' else '' end as unknown
            from raw_ops.order_needs(wanted_order) n group by n.sku, n.product_id
        ) m
    );
end
$$;

create function raw_ops.monitor_answer(check_name text, status text, title text, message text, metrics json) returns jsonb
language sql immutable parallel safe
as $$
    select jsonb_build_object(
        'check', check_name, 'status', status, 'alert_triggered', status <> 'ok',
        'channel', case status when 'critical' then 'ops-urgent' when 'warning' then 'ops-alerts' end,
        'severity', case status when 'ok' then 'info' else status end,
        'title', title, 'message', message, 'metrics', metrics,
        'fields', coalesce((
            select jsonb_agg(jsonb_build_object('label', upper(left(m.key, 1)) || replace(substr(m.key, 2), '_', ' '),
                'value', coalesce(m.value, 'none'), 'inline', true) order by m.place)
            from json_each_text(metrics) with ordinality m (key, value, place)), '[]'))
$$;

create function raw_ops.move_stock(batch uuid, change integer, kind text, notes text) returns uuid
language plpgsql
as $$
declare
    moved_sku text;
    product uuid;
    before integer;
    movement uuid;
begin
    select p.sku, p.id into moved_sku, product
    from raw_ops.batches b join raw_ops.products p on p.id = b.product_id where b.id = batch;
    select floor(sum(b.qty_on_hand)) into before from raw_ops.batches b where b.product_id = product;

    update raw_ops.batches b set qty_on_hand = coalesce(b.qty_on_hand, 0) + change where b.id = batch;
    insert into raw_ops.inventory_movements
        (sku, movement_type, qty_change, qty_before, qty_after, reference_id, reference_type, notes, created_at)
    values (moved_sku, kind, change, coalesce(before, 0), coalesce(before, 0) + change, batch, 'batch', move_stock.notes, engine.now())
    returning id into movement;
    perform raw_ops.refresh_inventory(batch);
    perform raw_ops.refresh_on_hand(product);
    return movement;
end
$$;

create function raw_ops.nearest_knowledge(query real[], model text, at_most integer) returns TABLE(id uuid, distance double precision)
language sql stable
as $$
            select s.id, raw_ops.cosine_distance(s.embedding, query)
            from raw_ops.ai_knowledge_sections s
            where s.is_active and s.embedding_model = model and s.embedding is not null
            order by 2, s.id
            limit at_most
        $$;
comment on function raw_ops.nearest_knowledge(real[],text,integer) is 'The active sections nearest to a vector of the same model, nearest first.';

create function raw_ops.next_export_batch() returns text
language plpgsql
as $$
declare
    day text;
begin
    perform pg_advisory_xact_lock(hashtextextended('raw_ops.export', 0));
    day := 'EXP-' || to_char(raw_ops.today(), 'YYYYMMDD');
    return (
        select case when count(*) = 0 then day else day || '-' || count(*) + 1 end
        from raw_ops.export_outbox e where e.batch_id = day or e.batch_id like day || '-%');
end
$$;

create function raw_ops.next_order_status(current raw_ops.order_status, wanted raw_ops.order_status) returns raw_ops.order_status
language sql immutable parallel safe
as $$
    select case
        when current is null then wanted
        when wanted = 'PAID' and current = 'PENDING' then wanted
        when wanted = 'CANCELLED' and current in ('PENDING', 'PAID', 'PARTIALLY_ALLOCATED', 'ALLOCATED', 'REFUNDED')
            then wanted
        when wanted = 'REFUNDED' and current in ('PENDING', 'PAID', 'PARTIALLY_ALLOCATED', 'ALLOCATED') then wanted
        else current
    end
$$;

create function raw_ops.next_shipment_status(current raw_ops.shipment_status, wanted raw_ops.shipment_status) returns raw_ops.shipment_status
language sql immutable parallel safe
as $$
    select case
        when current in ('DELIVERED', 'RETURNED') then current
        when wanted in ('DELIVERED', 'RETURNED', 'EXCEPTION') then wanted
        when current = 'EXCEPTION' then case when wanted in ('IN_TRANSIT', 'OUT_FOR_DELIVERY') then wanted else current end
        when wanted > current then wanted
        else current
    end
$$;

create function raw_ops.note_address_change() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    source text := coalesce(nullif(current_setting('rawops.address_source', true), ''), 'database');
    before jsonb := raw_ops.address_of(old);
    after jsonb := raw_ops.address_of(new);
    by_shopify boolean := source = 'shopify';
begin
    if raw_ops.is_seeding() or before = after or (by_shopify and not raw_ops.is_address(before)) then
        return null;
    end if;
    insert into raw_ops.address_changes
        (created_at, customer_id, changed_by, old_address, new_address, source, shopify_synced, shopify_synced_at, shopify_state, seal_state)
    values (engine.now(), new.id, coalesce(nullif(current_setting('rawops.changed_by', true), ''), case when by_shopify then source else session_user end),
        before, after, source, by_shopify, case when by_shopify then engine.now() end,
        case when by_shopify then 'synced' when raw_ops.is_address(after) then 'pending' else 'not_needed' end,
        case when not by_shopify and raw_ops.is_address(after) then 'pending' else 'not_needed' end);
    return null;
end
$$;

create function raw_ops.note_email_event(mail raw_ops.outbox) returns void
language plpgsql
as $$
begin
    if not mail.payload_json ?& array['subscription_id', 'billing_date'] then
        return;
    end if;
    insert into raw_ops.email_events (customer_id, subscription_id, event_type, billing_date, sent_at)
    select s.customer_id, s.id, mail.event_type, (mail.payload_json ->> 'billing_date')::date, mail.last_sent_at
    from raw_ops.subscriptions s
    where s.id = (mail.payload_json ->> 'subscription_id')::uuid and s.customer_id is not null
    on conflict do nothing;
exception when data_exception or integrity_constraint_violation then
    raise warning 'no once-key of mail % is kept: %', mail.id, sqlerrm;
end
$$;

create function raw_ops.note_unknown_code(courier text, code text, inbox_id uuid) returns void
language plpgsql
as $$
begin
    if exists (select from raw_ops.ops_events e where e.kind = 'COURIER_UNKNOWN_CODE' and e.meta ->> 'courier' = courier and e.meta ->> 'code' = code) then
        return;
    end if;
    perform raw_ops.log_event('WEBHOOK', inbox_id, 'COURIER_UNKNOWN_CODE', format('%s sent code %s, which nobody has mapped', courier, code),
        jsonb_build_object('courier', courier, 'code', code), 'courier', inbox_id);
    perform from raw_ops.raise_alert('warning', 'A courier''s code that nobody has mapped',
        format('%s sent code %s. Say in courier_event_mapping what it means.', courier, code),
        key => 'courier code ' || courier || ' ' || code, source_check => 'webhooks');
end
$$;

create function raw_ops.note_unknown_topic(inbox_id uuid, source text, topic text) returns void
language plpgsql
as $$
declare
    named text := case when topic ~ '^[a-z_]{1,60}/[a-z_]{1,60}$' then topic else 'of no known form' end;
begin
    if exists (
        select from raw_ops.ops_events e
        where e.kind = 'WEBHOOK_UNKNOWN_TOPIC' and e.meta ->> 'topic' = named and e.source_system = lower(source)
          and e.created_at > (select engine.now()) - interval '1 day'
    ) then
        return;
    end if;
    perform raw_ops.log_event('WEBHOOK', inbox_id, 'WEBHOOK_UNKNOWN_TOPIC', source || ' sent topic ' || named || ', which no job reads',
        jsonb_build_object('topic', named), lower(source), inbox_id);
    perform from raw_ops.raise_alert('warning', source || ' sends topic ' || named || ', which no job reads',
        format('The webhook is kept as ignored. Take the topic out of the subscriptions in %s, or have a job read it.', source),
        jsonb_build_array(jsonb_build_object('label', 'Webhook', 'value', inbox_id, 'inline', true)),
        key => 'webhooks unknown topic ' || lower(source), source_check => 'webhooks');
end
$$;

create function raw_ops.only_batch_of(wanted_order uuid) returns uuid
language sql stable
as $$
    select case when count(distinct f.batch_id) = 1 then (array_agg(f.batch_id))[1] end from raw_ops.open_allocations(wanted_order) f
$$;

create function raw_ops.open_allocations(wanted_order uuid) returns TABLE(allocation_id uuid, batch_id uuid, product_id uuid, units numeric)
language sql stable
as $$
    select a.id, a.batch_id, b.product_id, a.qty_allocated
    from raw_ops.order_items i
    join raw_ops.allocations a on a.order_item_id = i.id
    join raw_ops.batches b on b.id = a.batch_id
    where i.order_id = wanted_order
      and not exists (select from raw_ops.stock_dispatches d where d.allocation_id = a.id)
$$;

create function raw_ops.open_parcel_case(scan raw_ops.courier_events, parcel raw_ops.shipments, mapping raw_ops.courier_event_mapping, courier text) returns boolean
language plpgsql
as $$
declare
    words text := coalesce(nullif(scan.event_text, ''), format('code %s of %s', scan.event_code, courier));
    is_back boolean := scan.event_type = 'RETURNED';
begin
    if exists (
        select from raw_ops.exceptions_queue e
        where e.shipment_id = parcel.id and not e.resolved and e.issue_type = 'courier_exception' and e.raw_data ->> 'event_code' = scan.event_code
    ) then
        return false;
    end if;
    insert into raw_ops.exceptions_queue (order_id, shipment_id, issue_type, issue_description, raw_data, created_at)
    values (parcel.order_id, parcel.id, 'courier_exception', words, jsonb_strip_nulls(jsonb_build_object('event_code', scan.event_code,
        'tracking_no', parcel.tracking_no, 'courier', courier, 'courier_event_id', scan.id, 'event_time', scan.event_time)), engine.now());
    perform raw_ops.log_event('SHIPMENT', parcel.id, 'EXCEPTION', words, jsonb_build_object('order_id', parcel.order_id,
        'event_code', scan.event_code, 'event_type', scan.event_type), courier, scan.id);
    perform from raw_ops.raise_alert(
        case when lower(mapping.internal_priority) in ('urgent', 'critical') then 'critical' else 'warning' end,
        case when is_back then 'A parcel comes back' else 'A parcel is held up' end,
        format('%s says of parcel %s: %s. Its case is in exceptions_queue.', courier, parcel.tracking_no, words),
        jsonb_build_array(jsonb_build_object('label', 'Parcel', 'value', coalesce(parcel.tracking_no, parcel.id::text), 'inline', true),
            jsonb_build_object('label', 'Code', 'value', scan.event_code, 'inline', true)),
        key => format('courier exception %s %s', courier, scan.event_code), source_check => 'couriers');
    return true;
end
$$;

create function raw_ops.open_work() returns jsonb
language sql
as $$
    select jsonb_build_object(
        'orders_waiting', (select count(distinct q.order_id) from raw_ops.allocation_queue q where q.state = 'pending'),
        'batches_in_qa_hold', (select count(*) from raw_ops.batches b where b.status = 'QA_HOLD'),
        'low_stock_products', (select count(*) from raw_ops.get_low_stock_alerts()),
        'tickets_open', (select count(*) from raw_ops.support_tickets t where t.status not in ('resolved', 'closed')),
        'webhooks_failed', (select count(*) from raw_ops.webhook_inbox i where i.processing_status = 'failed'),
        'dead_letters', (select count(*) from raw_ops.dead_letter_queue d where not d.resolved))
$$;

create function raw_ops.order_figures(customer uuid) returns TABLE(orders bigint, lifetime_value_gbp numeric, first_order_at timestamp with time zone, last_order_at timestamp with time zone, newest_order_id uuid, newest_order_label text, newest_order_status raw_ops.order_status)
language sql stable
as $$
    select o.orders, o.money, o.first_at, o.last_at, n.id, n.order_number_label, n.status
    from (
        select
            count(*) as orders, min(x.ordered_at) as first_at, max(x.ordered_at) as last_at,
            sum(x.total_gbp) filter (where x.status <> 'REFUNDED') as money
        from raw_ops.orders x
        where x.customer_id = customer and x.status not in ('PENDING', 'CANCELLED')
    ) o
    left join (
        select x.id, x.order_number_label, x.status
        from raw_ops.orders x where x.customer_id = customer
        order by x.ordered_at desc, x.id limit 1
    ) n on true
$$;

create function raw_ops.order_needs(wanted_order uuid) returns TABLE(order_item_id uuid, product_id uuid, sku text, units integer)
language sql stable
as $$
    select i.id, coalesce(i.product_id, (select p.id from raw_ops.products p where p.sku = i.sku)),
        coalesce(nullif(i.sku, ''), (select p.sku from raw_ops.products p where p.id = i.product_id)),
        i.qty - greatest(i.fulfilled_qty, a.sent) - a.held
    from raw_ops.order_items i
    cross join lateral (
        select coalesce(sum(s.qty_allocated) filter (where d.allocation_id is not null), 0)::integer as sent,
            coalesce(sum(s.qty_allocated) filter (where d.allocation_id is null), 0)::integer as held
        from raw_ops.allocations s
        left join raw_ops.stock_dispatches d on d.allocation_id = s.id
        where s.order_item_id = i.id
    ) a
    where i.order_id = wanted_order and (i.product_id is not null or nullif(i.sku, '') is not null)
      and i.qty > greatest(i.fulfilled_qty, a.sent) + a.held
$$;

create function raw_ops.orders_behind(order_ids bigint[], changed timestamp with time zone[]) returns SETOF bigint
language sql stable
as $$
    select w.id
    from unnest(order_ids, changed) with ordinality w (id, at, place)
    where not exists (select from raw_ops.orders o where o.shopify_order_id = w.id::text and o.updated_at_shopify >= w.at)
      and not exists (
          select from raw_ops.webhook_inbox i
          where i.shopify_order_id = w.id and i.source = 'shopify' and i.topic like 'orders/%' and i.received_at >= w.at
            and i.processing_status in ('pending', 'processing', 'retrying', 'failed'))
    order by w.place
$$;

create function raw_ops.orders_of_day(begins timestamp with time zone, ends timestamp with time zone) returns jsonb
language sql stable
as $$
    select jsonb_build_object('orders', count(*), 'subscription_orders', count(*) filter (where o.is_subscription),
        'revenue_gbp', coalesce(sum(o.total_gbp), 0))
    from raw_ops.orders o
    where o.ordered_at >= begins and o.ordered_at < ends and o.status not in ('PENDING', 'CANCELLED')
$$;

create function raw_ops.orders_reconciled_until() returns timestamp with time zone
language sql
as $$
    select coalesce((select c.value::timestamptz from raw_ops.system_config c where c.key = 'shopify.orders_reconciled_until'),
        engine.now() - interval '2 days')
$$;

create function raw_ops.orders_to_pack(day date, most integer) returns SETOF uuid
language sql stable
as $$
    with held as materialized (
        select e.order_id from raw_ops.exceptions_queue e where e.issue_type = 'cannot_be_packed' and not e.resolved
    )
    select o.id
    from raw_ops.orders o
    left join raw_ops.packing_instructions p on p.order_id = o.id
    where o.status in ('ALLOCATED', 'EXPORTED')
      and (p.id is null
           or (p.calculated_by = 'automated' and case o.status
               when 'EXPORTED' then p.pack_on < day and day = raw_ops.today()
               else p.pack_on is distinct from day or o.id in (select h.order_id from held h) or not raw_ops.instruction_fits(p, o)
           end))
      and not exists (select from raw_ops.pack_quality_checks c where c.order_id = o.id)
    order by o.id in (select h.order_id from held h), o.ordered_at, o.id
    limit most
$$;

create function raw_ops.owe_order_figures() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op = 'INSERT' then
        insert into raw_ops.customer_figures_due (customer_id)
        select distinct n.customer_id from new_rows n where n.customer_id is not null;
    elsif tg_op = 'UPDATE' then
        -- What stands there once, and not before and after, is what changed.
        insert into raw_ops.customer_figures_due (customer_id)
        select distinct r.customer_id
        from (
            select o.id, o.customer_id, o.status, o.total_gbp, o.ordered_at, o.order_number_label from old_rows o
            union all
            select n.id, n.customer_id, n.status, n.total_gbp, n.ordered_at, n.order_number_label from new_rows n
        ) r
        where r.customer_id is not null
        group by r.id, r.customer_id, r.status, r.total_gbp, r.ordered_at, r.order_number_label having count(*) = 1;
    elsif tg_op = 'DELETE' then
        insert into raw_ops.customer_figures_due (customer_id)
        select distinct o.customer_id from old_rows o where o.customer_id is not null;
    else
        insert into raw_ops.customer_figures_due (customer_id) select f.customer_id from raw_ops.customer_figures f;
    end if;
    if found then
        perform raw_ops.call_customer_figures();
    end if;
    return null;
end
$$;

create function raw_ops.owe_shipment_figures() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op = 'INSERT' then
        insert into raw_ops.customer_figures_due (order_id) select distinct n.order_id from new_rows n;
    elsif tg_op = 'UPDATE' then
        insert into raw_ops.customer_figures_due (order_id)
        select distinct r.order_id
        from (
            select o.id, o.order_id, o.status, o.courier, o.tracking_no, o.dispatched_at, o.delivered_at, o.created_at from old_rows o
            union all
            select n.id, n.order_id, n.status, n.courier, n.tracking_no, n.dispatched_at, n.delivered_at, n.created_at from new_rows n
        ) r
        group by r.id, r.order_id, r.status, r.courier, r.tracking_no, r.dispatched_at, r.delivered_at, r.created_at
        having count(*) = 1;
    elsif tg_op = 'DELETE' then
        insert into raw_ops.customer_figures_due (order_id) select distinct o.order_id from old_rows o;
    else
        insert into raw_ops.customer_figures_due (customer_id) select f.customer_id from raw_ops.customer_figures f;
    end if;
    if found then
        perform raw_ops.call_customer_figures();
    end if;
    return null;
end
$$;

create function raw_ops.owe_subscription_figures() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op = 'INSERT' then
        insert into raw_ops.customer_figures_due (customer_id) select distinct n.customer_id from new_rows n;
    elsif tg_op = 'UPDATE' then
        insert into raw_ops.customer_figures_due (customer_id)
        select distinct r.customer_id
        from (
            select o.id, o.customer_id, o.status, o.box_size, o.frequency_weeks, o.next_billing_date, o.payment_status, o.created_at
            from old_rows o
            union all
            select n.id, n.customer_id, n.status, n.box_size, n.frequency_weeks, n.next_billing_date, n.payment_status, n.created_at
            from new_rows n
        ) r
        group by r.id, r.customer_id, r.status, r.box_size, r.frequency_weeks, r.next_billing_date, r.payment_status, r.created_at
        having count(*) = 1;
    elsif tg_op = 'DELETE' then
        insert into raw_ops.customer_figures_due (customer_id) select distinct o.customer_id from old_rows o;
    else
        insert into raw_ops.customer_figures_due (customer_id) select f.customer_id from raw_ops.customer_figures f;
    end if;
    if found then
        perform raw_ops.call_customer_figures();
    end if;
    return null;
end
$$;

create function raw_ops.owed_to_older(wanted_order uuid, product uuid) returns integer
language plpgsql
as $$
declare
    mine record;
begin
    select coalesce(min(q.priority), 100) as priority, coalesce(min(q.created_at), 'infinity') as at into mine
    from raw_ops.allocation_queue q where q.order_id = wanted_order and q.state in ('pending', 'processing');
    return (
        select coalesce(sum(n.units), 0)
        from (
            select distinct q.order_id
            from raw_ops.allocation_queue q
            where q.state = 'pending' and q.order_id <> wanted_order
              and (q.priority, q.created_at, q.order_id) < (mine.priority, mine.at, wanted_order)
              and exists (
                  select from engine.unique_key u
                  where u.kind = 'allocation.allocate_order' and u.key = q.order_id::text
                    and not exists (
                        select from engine.scheduled s
                        where s.job_id = u.job_id and s.run_at > (select engine.now()) + interval '5 seconds'))
        ) o
        cross join lateral raw_ops.order_needs(o.order_id) n
        where n.product_id = product
    );
end
$$;

create function raw_ops.pack_check(wanted_check bigint) returns TABLE(expected_kg numeric, actual_kg numeric, started_at timestamp with time zone, completed_at timestamp with time zone, logger_activated boolean, void_fill_complete boolean, visual_check_pass boolean, instruction_id bigint, logger_required boolean, most_pct numeric)
language sql stable
as $$
    select c.expected_total_weight_kg, c.actual_weight_kg, c.pack_started_at, c.pack_completed_at, coalesce(c.logger_activated, false),
        coalesce(c.void_fill_complete, false), coalesce(c.visual_check_pass, false), p.id, coalesce(p.logger_required, false),
        raw_ops.threshold('packing.max_weight_variance_pct')
    from raw_ops.pack_quality_checks c
    left join raw_ops.packing_instructions p
        on p.id = coalesce(c.packing_instruction_id, (select i.id from raw_ops.packing_instructions i where i.order_id = c.order_id))
    where c.id = wanted_check
$$;

create function raw_ops.packing_rules() returns TABLE(version text, document text)
language sql stable
as $$
    select c.value_text, d.value_text
    from raw_ops.config c
    left join raw_ops.config d on d.key = 'packing.rules.' || c.value_text
    where c.key = 'packing.rules'
$$;

create function raw_ops.parcel_of(number text, at timestamp with time zone) returns uuid
language sql stable
as $$
    select s.id from raw_ops.shipments s
    where s.tracking_no = number and s.created_at between at - interval '120 days' and at + interval '1 day'
    order by s.created_at desc limit 1
$$;

create function raw_ops.parcel_of_log(inbox_id uuid, first_read timestamp with time zone, last_read timestamp with time zone DEFAULT NULL::timestamp with time zone) returns TABLE(shipment_id uuid, left_at timestamp with time zone, arrived_at timestamp with time zone, limit_c numeric, tolerated_minutes integer)
language plpgsql
as $$
declare
    about jsonb := (select w.raw_payload from raw_ops.webhook_inbox w where w.id = inbox_id);
    number text := about ->> 'tracking_no';
    at_start uuid := raw_ops.parcel_of(number, first_read);
    parcel raw_ops.shipments;
begin
    select * into parcel from raw_ops.shipments s
    where s.id = coalesce(
        (about ->> 'shipment_id')::uuid,
        (select p.id from raw_ops.shipments p where p.id = at_start and (p.delivered_at is null or p.delivered_at >= first_read)),
        -- The logger lay switched on before the parcel was packed.
        (select p.id from raw_ops.shipments p
         where p.tracking_no = number and p.created_at > first_read and p.created_at <= coalesce(last_read, first_read) + interval '1 day'
         order by p.created_at limit 1),
        at_start) for update;
    return query select parcel.id, parcel.dispatched_at, parcel.delivered_at, raw_ops.threshold('cold_chain.limit_c'),
        raw_ops.threshold('cold_chain.tolerated_minutes')::integer;
end
$$;
comment on function raw_ops.parcel_of_log(uuid,timestamp with time zone,timestamp with time zone) is 'The parcel that had the number while a temperature log was written, and by which rules its way is judged.';

create function raw_ops.parcel_status(word text) returns raw_ops.shipment_status
language sql immutable parallel safe
as $$
    select case word
        when 'IN_TRANSIT' then 'IN_TRANSIT' when 'AT_HUB' then 'IN_TRANSIT' when 'OUT_FOR_DELIVERY' then 'OUT_FOR_DELIVERY'
        when 'DELIVERED' then 'DELIVERED' when 'EXCEPTION' then 'EXCEPTION' when 'RETURNED' then 'RETURNED'
    end::raw_ops.shipment_status
$$;

create function raw_ops.parcel_to_pack(wanted_order uuid) returns TABLE(shopify_order_id text, postcode text, country text, food_grams bigint, batch_id uuid)
language sql stable
as $$
    select o.shopify_order_id, o.ship_postcode, o.ship_country, f.grams, f.batch_id
    from raw_ops.orders o
    cross join lateral (
        select coalesce(ceil(sum(a.units * p.kg * 1000)), 0)::bigint as grams,
            case when count(distinct a.batch_id) = 1 then (array_agg(a.batch_id))[1] end as batch_id
        from raw_ops.open_allocations(o.id) a
        join raw_ops.products p on p.id = a.product_id
    ) f
    where o.id = wanted_order and o.status in ('ALLOCATED', 'EXPORTED')
$$;

create function raw_ops.privacy_task(topic text) returns text
language sql immutable parallel safe
as $$
    select case topic
        when 'customers/data_request' then 'A customer asks for what is kept of them: send it to the customer'
        when 'customers/redact' then 'A customer asks to be erased: erase what no law keeps'
        else 'Shopify asks to erase the whole shop: somebody has removed the app'
    end
$$;

create function raw_ops.process_courier_event_txn(inbox_id uuid) returns TABLE(shipment_id uuid, outcome text)
language plpgsql
as $$
#variable_conflict use_column
declare
    began timestamptz := clock_timestamp();  -- Elapsed work, not a date: the real clock even under a test clock.
    inbox raw_ops.webhook_inbox;
    parcel uuid;
    courier text;
    code text;
    word text;
    at timestamptz;
    is_told boolean;
begin
    select * into inbox from raw_ops.webhook_inbox w where w.id = $1 for update;
    if not found then
        raise exception 'webhook % is not in the inbox', $1 using errcode = 'P0002';
    end if;
    courier := coalesce(raw_ops.shopify_text(inbox.raw_payload, 'carrier'), 'DPD');
    -- DPD leaves the code out at times.
    code := coalesce(raw_ops.shopify_text(inbox.raw_payload, 'event_code'), 'NONE');
    at := raw_ops.courier_time(inbox.raw_payload ->> 'event_time');
    if at is null then
        raise exception 'the payload is no scan: event_time is missing' using errcode = '22023';
    end if;
    parcel := raw_ops.parcel_of(raw_ops.shopify_text(inbox.raw_payload, 'tracking_no'), at);
    shipment_id := parcel;
    if parcel is null then
        outcome := 'waiting';
        return next;
        return;
    end if;
    -- Scans of one parcel take turns.
    perform from raw_ops.shipments s where s.id = parcel for update;
    word := raw_ops.courier_word(courier, code);
    select m.requires_customer_notification into is_told from raw_ops.courier_event_mapping m
    where upper(m.courier_name) = upper(courier) and m.event_code = code;
    insert into raw_ops.courier_events
        (shipment_id, event_code, event_text, event_time, raw_payload, event_type, requires_customer_notification, created_at)
    values (parcel, code, raw_ops.shopify_text(inbox.raw_payload, 'event_text'), at, inbox.raw_payload, coalesce(word, 'UNKNOWN'),
            coalesce(is_told, false), engine.now())
    on conflict on constraint courier_events_once do nothing;
    outcome := case when found then 'recorded' else 'known' end;
    if outcome = 'recorded' and word is null then
        perform raw_ops.note_unknown_code(courier, code, inbox.id);
    elsif outcome = 'recorded' and raw_ops.parcel_status(word) is not null and (
        word in ('DELIVERED', 'RETURNED')
        or not exists (select from raw_ops.courier_events e where e.shipment_id = parcel and e.event_time > at
                       and raw_ops.parcel_status(e.event_type) is not null))
    then
        perform raw_ops.advance_shipment(parcel, raw_ops.parcel_status(word), at);
    end if;
    perform raw_ops.settle_webhook(inbox.id, began);
    return next;
end
$$;

create function raw_ops.process_customer_webhook_txn(inbox_id uuid) returns TABLE(customer_id uuid, outcome text)
language plpgsql
as $$
declare
    began timestamptz := clock_timestamp();  -- Elapsed work, not a date: the real clock even under a test clock.
    inbox raw_ops.webhook_inbox;
    known raw_ops.customers;
    age timestamptz;
begin
    select * into inbox from raw_ops.webhook_inbox w where w.id = $1 for update;
    if not found then
        raise exception 'webhook % is not in the inbox', $1 using errcode = 'P0002';
    elsif raw_ops.shopify_text(inbox.raw_payload, 'id') is null then
        raise exception 'the payload is not a customer: id is missing' using errcode = '22023';
    end if;
    age := coalesce(raw_ops.shopify_text(inbox.raw_payload, 'updated_at')::timestamptz, inbox.triggered_at, inbox.received_at);
    perform pg_advisory_xact_lock(hashtextextended('raw_ops.shopify_customer:' || (inbox.raw_payload ->> 'id'), 0));
    select * into known from raw_ops.customers c where c.shopify_customer_id = inbox.raw_payload ->> 'id' for no key update;
    customer_id := known.id;
    if known.updated_at_shopify > age then
        outcome := 'stale';
    else
        customer_id := raw_ops.shopify_customer_id(
            jsonb_build_object('customer', inbox.raw_payload, 'updated_at', age), inbox.id);
        perform raw_ops.apply_shopify_customer(customer_id, inbox.raw_payload, age);
        outcome := case when known.id is null then 'created' else 'updated' end;
    end if;
    perform raw_ops.settle_webhook(inbox.id, began);
    return next;
end
$$;

create function raw_ops.process_dispatch_txn(row_id uuid) returns TABLE(shipment_id uuid, outcome text)
language plpgsql
as $$
#variable_conflict use_column
declare
    queued raw_ops.dispatch_import_queue;
    shipped raw_ops.orders;
    left_at timestamptz;
begin
    select * into queued from raw_ops.dispatch_import_queue q where q.id = row_id for update;
    outcome := case when queued.id is null then 'gone' when queued.processing_status in ('processed', 'ignored') then queued.processing_status end;
    if outcome is not null then
        return next;
        return;
    end if;
    -- Of what he did not send there is no parcel.
    if queued.dispatch_data ->> 'status' = 'not_sent' then
        if raw_ops.shopify_text(queued.dispatch_data, 'tracking_no') is not null then
            raise exception 'status is not_sent, and tracking_no says that it left' using errcode = '22023';
        end if;
        select o.id into shipped.id from raw_ops.orders o where o.external_order_ref = queued.external_order_id;
        outcome := case when shipped.id is null then 'unmatched' else raw_ops.stop_order(shipped.id, 'the packer') end;
        update raw_ops.dispatch_import_queue q
        set processing_status = 'processed', processed_at = engine.now(), error_message = null
        where q.id = row_id and outcome <> 'unmatched';
        return next;
        return;
    end if;
    -- What a person has set to pending was not read by the program that reads files.
    if raw_ops.shopify_text(queued.dispatch_data, 'tracking_no') is null then
        raise exception 'tracking_no is missing' using errcode = '22023';
    end if;
    left_at := raw_ops.courier_time(queued.dispatch_data ->> 'dispatched_at');
    if left_at is null or left_at > engine.now() + interval '1 day' then
        raise exception 'dispatched_at is %, which has not come yet', coalesce(queued.dispatch_data ->> 'dispatched_at', 'missing')
            using errcode = '22023';
    end if;
    select * into shipped from raw_ops.orders o where o.external_order_ref = queued.external_order_id;
    if shipped.id is null then
        outcome := 'unmatched';
        return next;
        return;
    end if;
    -- Rows of one order take turns: one that found no parcel would wait for the parcel that another made meanwhile, holding the
    -- order that a third, which has the parcel, waits for.
    perform pg_advisory_xact_lock(hashtextextended('raw_ops.dispatch ' || queued.external_order_id, 0));
    -- Parcels before their order, as scans do. Then a statement of its own, so that it sees what the holders have written.
    perform from raw_ops.shipments s where s.order_id = shipped.id order by s.id for update;
    select * into shipped from raw_ops.orders o where o.id = shipped.id for no key update;
    select s.id into shipment_id from raw_ops.shipments s
    where s.order_id = shipped.id and s.tracking_no = queued.dispatch_data ->> 'tracking_no' order by s.created_at desc limit 1;
    outcome := case when shipment_id is null then 'dispatched' else 'known' end;
    shipment_id := coalesce(shipment_id, raw_ops.dispatch_parcel(shipped, queued.dispatch_data, left_at));
    perform raw_ops.advance_shipment(shipment_id, 'DISPATCHED', left_at);
    update raw_ops.dispatch_import_queue q
    set processing_status = 'processed', processed_at = engine.now(), error_message = null where q.id = row_id;
    return next;
end
$$;

create function raw_ops.process_fulfillment_webhook_txn(inbox_id uuid) returns TABLE(order_id uuid, outcome text)
language plpgsql
as $$
declare
    began timestamptz := clock_timestamp();  -- Elapsed work, not a date: the real clock even under a test clock.
    inbox raw_ops.webhook_inbox;
    payload jsonb;
    sent raw_ops.orders;
    at timestamptz;
begin
    select * into inbox from raw_ops.webhook_inbox w where w.id = $1 for update;
    if not found then
        raise exception 'webhook % is not in the inbox', $1 using errcode = 'P0002';
    end if;
    payload := inbox.raw_payload;
    if raw_ops.shopify_text(payload, 'id') is null or raw_ops.shopify_text(payload, 'order_id') is null then
        raise exception 'the payload is not a fulfilment: id or order_id is missing' using errcode = '22023';
    end if;
    sent := raw_ops.lock_shopify_order(payload ->> 'order_id');
    order_id := sent.id;
    if sent.id is null then
        outcome := 'waiting';
        return next;
        return;
    end if;
    update raw_ops.webhook_inbox w set shopify_order_id = sent.shopify_order_id::bigint where w.id = inbox.id;
    at := coalesce(raw_ops.shopify_text(payload, 'updated_at'), raw_ops.shopify_text(payload, 'created_at'))::timestamptz;
    outcome := 'stale';
    if exists (select from raw_ops.shopify_fulfillments(sent.shopify_order_id::bigint, inbox.id) f where f.inbox_id = inbox.id) then
        outcome := 'recorded';
        perform raw_ops.count_fulfilled(sent, inbox.id);
        perform raw_ops.follow_fulfillment(sent.id, payload, coalesce(at, inbox.received_at));
        if payload ->> 'status' = 'cancelled' then
            perform raw_ops.log_event('ORDER', sent.id, 'fulfillment_cancelled',
                format('Shopify took fulfilment %s of order %s back: see whether the parcel left', payload ->> 'name', sent.order_number_label),
                jsonb_build_object('shopify_fulfillment_id', payload ->> 'id'), 'shopify', inbox.id);
        end if;
    end if;
    perform raw_ops.settle_webhook(inbox.id, began);
    return next;
end
$$;

create function raw_ops.process_order_webhook_txn(inbox_id uuid) returns TABLE(order_id uuid, outcome text)
language plpgsql
as $$
declare
    began timestamptz := clock_timestamp();  -- Elapsed work, not a date: the real clock even under a test clock.
    inbox raw_ops.webhook_inbox;
    old raw_ops.orders;
    updated_at timestamptz;
    wanted raw_ops.order_status;
begin
    select * into inbox from raw_ops.webhook_inbox w where w.id = $1 for update;
    if not found then
        raise exception 'webhook % is not in the inbox', $1 using errcode = 'P0002';
    end if;
    perform raw_ops.check_shopify_order(inbox.topic, inbox.raw_payload);
    updated_at := coalesce(raw_ops.shopify_text(inbox.raw_payload, 'updated_at'), inbox.raw_payload ->> 'created_at')::timestamptz;

    perform pg_advisory_xact_lock(hashtextextended('raw_ops.shopify_order:' || (inbox.raw_payload ->> 'id'), 0));
    select * into old from raw_ops.orders o where o.shopify_order_id = inbox.raw_payload ->> 'id' for update;

    wanted := raw_ops.shopify_order_status(inbox.raw_payload);
    if wanted = 'PAID' and inbox.raw_payload ->> 'test' = 'true' and not exists (
        select from raw_ops.system_config c where c.key = 'orders.ship_test_orders' and c.value = 'true'
    ) then
        wanted := 'PENDING';
    end if;

    if old.id is null then
        outcome := 'created';
    elsif updated_at < old.updated_at_shopify
        or (updated_at = old.updated_at_shopify and raw_ops.next_order_status(old.status, wanted) = old.status) then
        outcome := 'stale';
    else
        outcome := 'updated';
    end if;
    order_id := case when outcome = 'stale' then old.id else raw_ops.apply_shopify_order(inbox, updated_at, old, wanted) end;
    if outcome = 'stale' and old.status = 'PENDING' and wanted = 'PAID' then
        -- What it says of the order is old, that the money came is not: a newer document may say how much of it went back.
        update raw_ops.orders o set status = 'PAID' where o.id = old.id;
        perform raw_ops.request_allocation(old.id, 'PAID');
        perform raw_ops.log_event('ORDER', old.id, 'order_updated', format('Order %s was paid, says a document that came late', old.order_number_label),
            jsonb_build_object('inbox_id', inbox.id, 'status_before', old.status, 'status', 'PAID'), 'shopify', inbox.id);
    end if;

    update raw_ops.webhook_inbox w
    set processing_status = 'success', processed_at = engine.now(), updated_at = engine.now(),
        processing_attempts = w.processing_attempts + 1, last_error = null, error_category = null,
        shopify_order_id = (inbox.raw_payload ->> 'id')::bigint,
        shopify_order_number = coalesce(inbox.raw_payload ->> 'order_number', w.shopify_order_number),
        processing_duration_ms = extract(milliseconds from clock_timestamp() - began),
        processing_time_ms = extract(milliseconds from clock_timestamp() - began)
    where w.id = inbox.id;
    return next;
end
$$;

create function raw_ops.process_privacy_webhook_txn(inbox_id uuid) returns uuid
language plpgsql
as $$
#variable_conflict use_column
declare
    began timestamptz := clock_timestamp();  -- Elapsed work, not a date: the real clock even under a test clock.
    inbox raw_ops.webhook_inbox;
    person jsonb;
    made raw_ops.privacy_requests;
begin
    select * into inbox from raw_ops.webhook_inbox w where w.id = $1 for update;
    if not found then
        raise exception 'webhook % is not in the inbox', $1 using errcode = 'P0002';
    elsif raw_ops.webhook_kind(inbox.source, inbox.topic) is distinct from 'customers.handle_privacy_request' then
        raise exception 'a webhook of topic % asks for nothing', inbox.topic using errcode = '22023';
    end if;
    person := raw_ops.shopify_object(inbox.raw_payload, 'customer');
    insert into raw_ops.privacy_requests (topic, inbox_id, customer_id, shopify_customer_id, shopify_order_ids, received_at, due_at)
    select inbox.topic, inbox.id, (select c.id from raw_ops.customers c where c.shopify_customer_id = raw_ops.shopify_text(person, 'id')),
        raw_ops.shopify_text(person, 'id'), array(select jsonb_array_elements_text(case inbox.topic when 'customers/redact'
            then raw_ops.shopify_list(inbox.raw_payload, 'orders_to_redact') else raw_ops.shopify_list(inbox.raw_payload, 'orders_requested') end)),
        inbox.received_at, inbox.received_at + interval '30 days'
    on conflict (inbox_id) do nothing
    returning * into made;
    if made.id is null then
        select * into made from raw_ops.privacy_requests p where p.inbox_id = inbox.id;
        perform raw_ops.settle_webhook(inbox.id, began);
        return made.id;
    end if;
    perform from raw_ops.raise_alert(case inbox.topic when 'shop/redact' then 'critical' else 'warning' end, raw_ops.privacy_task(inbox.topic),
        format('By law it is due on %s.', to_char(made.due_at at time zone 'Europe/London', 'FMDD FMMonth YYYY')),
        jsonb_build_array(jsonb_build_object('label', 'Request', 'value', made.id, 'inline', true)),
        key => 'privacy request ' || made.id, source_check => 'webhooks');
    perform engine.enqueue('customers.remind_of_privacy_request', jsonb_build_object('request_id', made.id),
        queue => 'customers', unique_key => made.id::text, run_at => made.due_at - interval '7 days');
    perform raw_ops.settle_webhook(inbox.id, began);
    return made.id;
end
$$;

create function raw_ops.process_refund_webhook_txn(inbox_id uuid) returns TABLE(order_id uuid, outcome text)
language plpgsql
as $$
declare
    began timestamptz := clock_timestamp();  -- Elapsed work, not a date: the real clock even under a test clock.
    inbox raw_ops.webhook_inbox;
    refunded raw_ops.orders;
    amount numeric;
    freed integer;
begin
    select * into inbox from raw_ops.webhook_inbox w where w.id = $1 for update;
    if not found then
        raise exception 'webhook % is not in the inbox', $1 using errcode = 'P0002';
    elsif raw_ops.shopify_text(inbox.raw_payload, 'id') is null or raw_ops.shopify_text(inbox.raw_payload, 'order_id') is null then
        raise exception 'the payload is not a refund: id or order_id is missing' using errcode = '22023';
    end if;
    refunded := raw_ops.lock_shopify_order(inbox.raw_payload ->> 'order_id');
    order_id := refunded.id;
    if refunded.id is null then
        outcome := 'waiting';
        return next;
        return;
    end if;
    update raw_ops.webhook_inbox w set shopify_order_id = refunded.shopify_order_id::bigint where w.id = inbox.id;
    if exists (select from raw_ops.ops_events e where e.entity_id = refunded.id and e.kind = 'order_refunded'
               and e.meta ->> 'shopify_refund_id' = inbox.raw_payload ->> 'id') then
        outcome := 'known';
    else
        outcome := 'recorded';
        amount := raw_ops.record_shopify_refund(inbox.raw_payload, refunded, inbox.id);
        freed := raw_ops.settle_refunded_order(inbox.raw_payload, refunded, inbox.id);
        perform raw_ops.log_event('ORDER', refunded.id, 'order_refunded',
            format('Shopify refunded %s of order %s', amount, refunded.order_number_label),
            jsonb_build_object('inbox_id', inbox.id, 'shopify_refund_id', inbox.raw_payload ->> 'id', 'amount', amount, 'units_freed', freed),
            'shopify', inbox.id);
    end if;
    perform raw_ops.settle_webhook(inbox.id, began);
    return next;
end
$$;

create function raw_ops.process_seal_webhook_txn(inbox_id uuid) returns TABLE(subscription_id uuid, outcome text)
language plpgsql
as $$
declare
    began timestamptz := clock_timestamp();  -- Elapsed work, not a date: the real clock even under a test clock.
    inbox raw_ops.seal_webhook_inbox;
    old raw_ops.subscriptions;
    sub raw_ops.subscriptions;
    customer uuid;
    age timestamptz;
begin
    select * into inbox from raw_ops.seal_webhook_inbox w where w.id = $1 for update;
    if not found then
        raise exception 'webhook % is not in the inbox of Seal', $1 using errcode = 'P0002';
    elsif raw_ops.shopify_text(inbox.payload, 'id') is null or raw_ops.shopify_text(inbox.payload, 'status') is null then
        raise exception 'the payload is not a subscription of Seal: id or status is missing' using errcode = '22023';
    end if;
    perform pg_advisory_xact_lock(hashtextextended('raw_ops.seal_subscription:' || (inbox.payload ->> 'id'), 0));
    select * into old from raw_ops.subscriptions s
    where s.seal_subscription_id = inbox.payload ->> 'id'
       or s.shopify_subscription_id = raw_ops.shopify_text(inbox.payload, 'shopify_graphql_subscription_contract_id')
    order by s.seal_subscription_id nulls last limit 1 for no key update;
    age := raw_ops.seal_age(inbox.payload);
    outcome := case
        when old.id is null then 'created'
        when (coalesce(age, inbox.received_at), inbox.received_at)
            < (coalesce(old.seal_updated_at, '-infinity'), coalesce(case when old.seal_updated_at is not null then old.last_synced_at end, '-infinity'))
            then 'stale'
        else 'updated'
    end;
    sub := old;
    if outcome <> 'stale' then
        customer := coalesce(raw_ops.seal_customer(inbox.payload, inbox.id), old.customer_id);
        sub := raw_ops.save_seal_subscription(inbox.payload, customer, old, coalesce(age, inbox.received_at), inbox.received_at);
    end if;
    perform raw_ops.save_billing_attempts(sub, inbox.payload, outcome <> 'stale');
    perform raw_ops.log_seal_event(inbox, sub, old.status, outcome, age);
    perform raw_ops.settle_subscription_payment(sub.id);
    subscription_id := sub.id;
    update raw_ops.seal_webhook_inbox w
    set processing_status = 'success', processed_at = engine.now(), processing_attempts = w.processing_attempts + 1, last_error = null,
        error_category = null, seal_subscription_id = sub.seal_subscription_id,
        processing_duration_ms = extract(milliseconds from clock_timestamp() - began)
    where w.id = inbox.id;
    return next;
end
$$;

create function raw_ops.put_packing_instruction(wanted_order uuid, made jsonb, forecast_age interval) returns text
language plpgsql
as $$
declare
    parcel record;
    exported boolean;
    word text;
begin
    -- A statement of its own: the next ones see what its holder before has written.
    select o.status = 'EXPORTED' into exported from raw_ops.orders o where o.id = wanted_order for no key update;
    select * into parcel from raw_ops.parcel_to_pack(wanted_order);
    if not found then
        return 'closed';
    elsif (parcel.food_grams, parcel.postcode, parcel.country)
        is distinct from ((made ->> 'food_grams')::bigint, made ->> 'postcode', made ->> 'country') then
        return 'changed';
    end if;
    insert into raw_ops.packing_instructions as p
        (order_id, shopify_order_id, batch_id, box_size, insulation_type, pcm_mass_kg, pcm_packs_count, ambient_forecast_max,
         transit_hours_expected, forecast_retrieved_at, risk_level, logger_required, special_notes, created_at, calculation_version,
         pack_on, deliver_on, expected_weight_kg, food_grams, postcode, country)
    select wanted_order, parcel.shopify_order_id, parcel.batch_id, m.box_size, m.insulation, m.coolant_grams / 1000.0, m.packs, m.ambient,
        m.transit_hours, engine.now() - forecast_age, m.risk, m.logger, m.notes, engine.now(), m.version,
        m.pack_on, m.deliver_on, m.total_grams / 1000.0, parcel.food_grams, parcel.postcode, parcel.country
    from jsonb_to_record(made) m (
        box_size text, insulation text, coolant_grams bigint, packs smallint, ambient numeric, transit_hours smallint, risk text,
        logger boolean, notes text, version text, pack_on date, deliver_on date, total_grams bigint)
    on conflict (order_id) do update set
        (batch_id, box_size, insulation_type, pcm_mass_kg, pcm_packs_count, ambient_forecast_max, transit_hours_expected,
         forecast_retrieved_at, risk_level, logger_required, special_notes, created_at, calculation_version, pack_on, deliver_on,
         expected_weight_kg, food_grams, postcode, country)
        = (excluded.batch_id, excluded.box_size, excluded.insulation_type, excluded.pcm_mass_kg, excluded.pcm_packs_count,
         excluded.ambient_forecast_max, excluded.transit_hours_expected, excluded.forecast_retrieved_at, excluded.risk_level,
         excluded.logger_required, excluded.special_notes, excluded.created_at, excluded.calculation_version, excluded.pack_on,
         excluded.deliver_on, excluded.expected_weight_kg, excluded.food_grams, excluded.postcode, excluded.country)
    where p.calculated_by = 'automated'
      and case when exported then p.pack_on < excluded.pack_on and excluded.pack_on = raw_ops.today()
          else (p.pack_on, p.food_grams, p.postcode, p.country)
              is distinct from (excluded.pack_on, excluded.food_grams, excluded.postcode, excluded.country)
          end
      and not exists (select from raw_ops.pack_quality_checks c where c.order_id = wanted_order);
    word := case when found then 'calculated' else 'known' end;
    -- One that stands says as well that nothing keeps its box from being packed.
    update raw_ops.exceptions_queue e
    set resolved = true, resolved_at = engine.now(), resolved_by = 'packing.calculate_instructions'
    where e.order_id = wanted_order and e.issue_type = 'cannot_be_packed' and not e.resolved;
    return word;
end
$$;

create function raw_ops.raise_alert(severity text, title text, message text, fields jsonb DEFAULT '[]'::jsonb, key text DEFAULT NULL::text, source_check text DEFAULT NULL::text, run_id uuid DEFAULT NULL::uuid, times integer DEFAULT 1) returns TABLE(id uuid, outcome text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    last raw_ops.alert_log;
    open_id uuid;
    document jsonb;
begin
    if raw_ops.severity_rank(raise_alert.severity) is null then
        raise exception 'severity is %, and must be info, warning or critical', coalesce(raise_alert.severity, 'null') using errcode = '22023';
    end if;
    document := jsonb_build_object('message', raise_alert.message, 'fields', coalesce(raise_alert.fields, '[]'));
    outcome := 'queued';
    if raise_alert.key is not null then
        -- A statement of its own, so that the next one sees what the holder before has written.
        perform pg_advisory_xact_lock(hashtextextended('raw_ops.alert ' || raise_alert.key, 0));
        select * into last from raw_ops.alert_log a where a.idempotency_key = raise_alert.key order by a.sent_at desc, a.is_recovery desc limit 1;
        if raw_ops.severity_rank(raise_alert.severity) <= raw_ops.severity_rank(last.severity) or last.is_recovery then
            if last.delivery_status = 'pending' and not last.is_recovery then
                outcome := 'joined';
                open_id := last.id;
            elsif last.sent_at > engine.now() - raw_ops.alert_window() and last.delivery_status in ('sent', 'suppressed', 'pending') then
                outcome := 'suppressed';
                open_id := case when last.delivery_status = 'suppressed' then last.id end;
            end if;
        end if;
    end if;
    if open_id is not null then
        update raw_ops.alert_log a
        set repeats = a.repeats + greatest(raise_alert.times, 1), title = raise_alert.title, payload_json = document
        where a.id = open_id;
        id := open_id;
    else
        insert into raw_ops.alert_log as a
            (sent_at, channel, severity, title, source_check, monitoring_run_id, payload_json, delivery_status, idempotency_key, repeats)
        values (engine.now(), raw_ops.alert_channel(raise_alert.severity), raise_alert.severity, raise_alert.title, raise_alert.source_check,
                raise_alert.run_id, document, case outcome when 'queued' then 'pending' else 'suppressed' end, raise_alert.key,
                greatest(raise_alert.times, 1))
        returning a.id into id;
    end if;
    return next;
end
$$;

create function raw_ops.readable_courier_time(written text) returns timestamp with time zone
language plpgsql stable
as $$
begin
    return raw_ops.courier_time(written);
exception when data_exception then
    return null;
end
$$;

create function raw_ops.record_release(batch raw_ops.batches, result uuid, released_by text, at timestamp with time zone) returns void
language plpgsql
as $$
begin
    insert into raw_ops.batch_status_history (batch_id, old_status, new_status, triggered_by, lab_result_id, created_at)
    values (batch.id, batch.status, 'RELEASED', released_by, result, at);
    perform raw_ops.log_event('BATCH', batch.id, 'batch_released', format('%s released batch %s', released_by, batch.batch_code),
        jsonb_build_object('batch_code', batch.batch_code, 'lab_result_id', result, 'released_by', released_by,
            'qty_on_hand', batch.qty_on_hand), null, result);
end
$$;

create function raw_ops.record_shopify_refund(payload jsonb, refunded raw_ops.orders, inbox_id uuid) returns numeric
language plpgsql
as $$
declare
    refund_id text := payload ->> 'id';
    made timestamptz := coalesce(raw_ops.shopify_text(payload, 'processed_at'), raw_ops.shopify_text(payload, 'created_at'))::timestamptz;
    amount numeric;
    currency text;
    own uuid;
begin
    select coalesce(sum((t ->> 'amount')::numeric), 0), upper(coalesce(min(t ->> 'currency'), refunded.currency)) into amount, currency
    from jsonb_array_elements(raw_ops.shopify_list(payload, 'transactions')) t
    where t ->> 'kind' = 'refund' and t ->> 'status' = 'success';
    if amount <= 0 then
        return 0;
    elsif currency <> 'GBP' then
        perform raw_ops.log_event('ORDER', refunded.id, 'refund_in_other_currency',
            format('Shopify refunded %s %s of order %s: enter it by hand', amount, currency, refunded.order_number_label),
            jsonb_build_object('shopify_refund_id', refund_id), 'shopify', inbox_id);
        perform from raw_ops.raise_alert('warning', 'A refund in another currency', format('Shopify refunded %s %s; enter it by hand.',
            amount, currency), key => 'refund in other currency ' || refund_id, source_check => 'webhooks');
        return 0;
    end if;
    select r.id into own from raw_ops.refunds r
    where r.shopify_refund_id = refund_id or (r.order_id = refunded.id and r.shopify_refund_id is null
        and r.status in ('approved', 'processing') and r.amount_gbp = amount)
    order by r.shopify_refund_id nulls last, r.created_at limit 1 for update;
    if own is not null then
        update raw_ops.refunds r
        set shopify_refund_id = refund_id, shopify_order_id = refunded.shopify_order_id, status = 'processed', amount_gbp = amount,
            processed_at = coalesce(r.processed_at, made), shopify_synced = true, shopify_synced_at = engine.now(), shopify_error = null
        where r.id = own;
        return amount;
    end if;
    insert into raw_ops.refunds (created_at, order_id, customer_id, shopify_refund_id, amount_gbp, refund_type, reason, processed_by,
        processed_at, status, shopify_order_id, shopify_synced, shopify_synced_at)
    values (coalesce(made, engine.now()), refunded.id, refunded.customer_id, refund_id, amount,
        case when amount >= refunded.total_inc_vat then 'full' else 'partial' end,
        coalesce(raw_ops.shopify_text(payload, 'note'), 'refunded in Shopify'), 'shopify', coalesce(made, engine.now()), 'processed',
        refunded.shopify_order_id, true, engine.now());
    return amount;
end
$$;

create function raw_ops.refresh_customer_figures(customers uuid[]) returns void
language plpgsql
as $$
begin
    update raw_ops.customer_figures f
    set (orders, lifetime_value_gbp, first_order_at, last_order_at, newest_order_id, newest_order_label, newest_order_status) = (
            select o.orders, o.lifetime_value_gbp, o.first_order_at, o.last_order_at, o.newest_order_id, o.newest_order_label,
                o.newest_order_status
            from raw_ops.order_figures(f.customer_id) o),
        (active_subscriptions, subscription_id, subscription_status, box_size, frequency_weeks, next_billing_date, payment_status) = (
            select s.active_subscriptions, s.subscription_id, s.subscription_status, s.box_size, s.frequency_weeks, s.next_billing_date,
                s.payment_status
            from raw_ops.subscription_figures(f.customer_id) s),
        (newest_shipment_id, newest_shipment_status, courier, tracking_no, dispatched_at, delivered_at) = (
            select p.newest_shipment_id, p.newest_shipment_status, p.courier, p.tracking_no, p.dispatched_at, p.delivered_at
            from raw_ops.shipment_figures(f.customer_id) p)
    where f.customer_id = any (customers);
end
$$;
comment on function raw_ops.refresh_customer_figures(uuid[]) is 'Counts everything of these customers anew. Their rows are locked, by a statement before.';

create function raw_ops.refresh_inventory(batch uuid) returns void
language plpgsql
as $$
begin
    -- log_inventory_movement is silent meanwhile: whoever moved the units wrote their movement.
    perform set_config('rawops.stock_moved', 'on', true);
    insert into raw_ops.inventory as v (batch_id, location, kg_available, updated_at)
    select b.id, coalesce(largest.location, '3PL-PRIMARY'),
        greatest(b.qty_on_hand * p.kg - coalesce(elsewhere.kg, 0), 0), engine.now()
    from raw_ops.batches b
    join raw_ops.products p on p.id = b.product_id
    left join lateral (
        select i.location from raw_ops.inventory i where i.batch_id = b.id order by i.kg_available desc, i.location limit 1
    ) largest on true
    left join lateral (
        select sum(i.kg_available) as kg from raw_ops.inventory i where i.batch_id = b.id and i.location <> largest.location
    ) elsewhere on true
    where b.id = batch
    on conflict (batch_id, location) do update set kg_available = excluded.kg_available, updated_at = excluded.updated_at
    where v.kg_available <> excluded.kg_available;
    perform set_config('rawops.stock_moved', 'off', true);
end
$$;

create function raw_ops.refresh_on_hand(product uuid) returns void
language plpgsql
as $$
begin
    insert into raw_ops.inventory_on_hand as h (sku, qty_available, updated_at, created_at)
    select p.sku, coalesce(floor(sum(b.qty_on_hand)), 0), engine.now(), engine.now()
    from raw_ops.products p
    left join raw_ops.batches b on b.product_id = p.id and b.status = 'RELEASED'
    where p.id = product
    group by p.sku
    on conflict (sku) do update set qty_available = excluded.qty_available, updated_at = excluded.updated_at
    where h.qty_available <> excluded.qty_available;
end
$$;

create function raw_ops.release_alerts() returns integer
language plpgsql
as $$
declare
    released integer;
begin
    update raw_ops.alert_log a set delivery_status = 'pending', sent_at = engine.now()
    where a.id in (
        select s.id from raw_ops.alert_log s
        where s.delivery_status = 'suppressed' and s.idempotency_key is not null
          and s.sent_at <= (select engine.now()) - (select raw_ops.alert_window())
        order by s.sent_at limit 100 for update skip locked);
    get diagnostics released = row_count;
    return released;
end
$$;

create function raw_ops.release_batch(batch_id uuid, released_by text DEFAULT SESSION_USER) returns TABLE(outcome text, batch_code text, released_at timestamp with time zone, lab_result_id uuid)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    batch raw_ops.batches;
    result raw_ops.lab_results;
    reason text;
begin
    perform raw_ops.lock_products(array(select b.product_id from raw_ops.batches b where b.id = $1));
    select * into batch from raw_ops.batches b where b.id = $1 for no key update;
    if not found then
        raise exception 'there is no batch %', $1 using errcode = '22023';
    end if;
    select * into result from raw_ops.lab_results r where r.batch_id = $1 for share;
    batch_code := batch.batch_code;
    lab_result_id := result.id;
    if batch.status = 'RELEASED' then
        outcome := 'already_released';
        released_at := batch.released_at;
        return next;
        return;
    end if;
    reason := raw_ops.release_refusal(batch, result);
    if reason is not null then
        raise exception 'batch % is not released: %', batch.batch_code, reason;
    end if;

    outcome := 'released';
    released_at := engine.now();
    update raw_ops.batches b set status = 'RELEASED', released_at = release_batch.released_at where b.id = $1;
    perform raw_ops.record_release(batch, result.id, released_by, released_at);
    return next;
end
$$;

create function raw_ops.release_expired_hold() returns uuid
language plpgsql
as $$
declare
    expired uuid;
begin
    select h.order_id into expired from raw_ops.soft_reservations h
    where h.expires_at <= (select engine.now()) order by h.expires_at, h.order_id limit 1;
    -- A statement of its own: what the order's holder did meanwhile is seen after it.
    perform from raw_ops.orders o where o.id = expired for no key update;
    if exists (select from raw_ops.soft_reservations h where h.order_id = expired and h.expires_at <= engine.now()) then
        perform raw_ops.log_event('ORDER', expired, 'stock_hold_ended', 'The order was not paid in time and gave up '
            || raw_ops.give_up_holds(expired) || ' units that it held', null, null, null);
    end if;
    return expired;
end
$$;

create function raw_ops.release_refusal(batch raw_ops.batches, result raw_ops.lab_results) returns text
language sql stable
as $$
    select case
        when batch.status <> 'QA_HOLD' then format('it is %s and not in QA hold', batch.status)
        when batch.product_id is null then 'it names no product'
        when batch.expiry_date is null then 'it has no expiry date'
        when batch.expiry_date < raw_ops.today() then format('it expired on %s', batch.expiry_date)
        when (result.reported_at at time zone 'Europe/London')::date < batch.produced_at
            then 'its lab result is older than the batch'
        else raw_ops.lab_result_refusal(result)
    end
$$;

create function raw_ops.remind_of_privacy_request(request_id uuid) returns boolean
language plpgsql
as $$
declare
    open raw_ops.privacy_requests;
begin
    select * into open from raw_ops.privacy_requests p where p.id = request_id and p.closed_at is null;
    if open.id is null then
        return false;
    end if;
    perform from raw_ops.raise_alert('critical', raw_ops.privacy_task(open.topic),
        format('It is still open, and by law it is due on %s.', to_char(open.due_at at time zone 'Europe/London', 'FMDD FMMonth YYYY')),
        jsonb_build_array(jsonb_build_object('label', 'Request', 'value', open.id, 'inline', true)),
        key => 'privacy request ' || open.id, source_check => 'webhooks');
    return true;
end
$$;

create function raw_ops.request_allocation(paid_order uuid, new_status raw_ops.order_status) returns void
language plpgsql
as $$
begin
    if new_status in ('CANCELLED', 'REFUNDED') then
        update raw_ops.allocation_queue q set state = 'cancelled', completed_at = engine.now()
        where q.order_id = paid_order and q.state = 'pending';
        perform raw_ops.free_allocations(paid_order);
        perform raw_ops.give_up_holds(paid_order);
    elsif new_status = 'PAID' then
        -- A request is cancelled when nothing is left to send; lines may be added again.
        insert into raw_ops.allocation_queue (order_id, created_at)
        select paid_order, engine.now()
        where not exists (select from raw_ops.allocation_queue q where q.order_id = paid_order and (
            q.state <> 'cancelled' or not exists (select from raw_ops.order_items i where i.order_id = paid_order)));
        -- The new request is a job by its own trigger. One that waits already looks again: the lines may be others now.
        if not found and exists (select from raw_ops.allocation_queue q where q.order_id = paid_order and q.state = 'pending') then
            perform raw_ops.enqueue_allocation(paid_order);
        end if;
    end if;
end
$$;

create function raw_ops.reserve_for_order(wanted_order uuid, run uuid) returns integer
language plpgsql
as $$
declare
    held uuid[] := raw_ops.held_products(wanted_order);
    products uuid[] := array(select n.product_id from raw_ops.order_needs(wanted_order) n where n.product_id is not null
                             union select unnest(held));
    before jsonb;
    need record;
    product uuid;
    most integer;
    given integer;
    got integer := 0;
begin
    perform raw_ops.lock_products(products);
    perform from raw_ops.batches b
    where b.product_id = any (products) and b.status = 'RELEASED' and b.qty_on_hand > coalesce(b.qty_reserved, 0)
    order by b.id for no key update;
    if cardinality(held) > 0 then
        before := raw_ops.held_units(wanted_order);
        perform raw_ops.drop_holds(wanted_order);
    end if;

    for need in
        select * from raw_ops.order_needs(wanted_order) n where n.product_id is not null order by n.product_id, n.order_item_id
    loop
        if product is distinct from need.product_id then
            product := need.product_id;
            most := raw_ops.free_units(product);
            if most > 0 then
                most := least(most, greatest(most - raw_ops.owed_to_older(wanted_order, product),
                    (before ->> product::text)::integer, 0));
            end if;
        end if;
        given := raw_ops.reserve_stock(need.order_item_id, product, need.units, most, run);
        most := most - given;
        got := got + given;
    end loop;
    if before is not null then
        perform raw_ops.wake_for_freed(before, (
            select coalesce(jsonb_object_agg(r.product_id, r.units), '{}')
            from (
                select b.product_id, sum(a.qty_allocated) as units
                from raw_ops.order_items i
                join raw_ops.allocations a on a.order_item_id = i.id
                join raw_ops.batches b on b.id = a.batch_id
                where i.order_id = wanted_order and a.allocation_group_id = run and b.product_id is not null
                group by b.product_id
            ) r));
    end if;
    return got;
end
$$;

create function raw_ops.reserve_stock(item uuid, product uuid, wanted integer, most integer, run uuid) returns integer
language plpgsql
as $$
declare
    got integer;
    first_expiry date := raw_ops.first_expiry();
begin
    with free as (
        select f.batch_id, f.units, f.expiry_date, f.produced_at,
            sum(f.units) over (order by f.expiry_date, f.produced_at, f.batch_id) - f.units as before
        from raw_ops.free_batches(product, first_expiry) f
    ),
    taken as (
        select f.batch_id, t.units, f.before + t.units as sum
        from free f cross join lateral (select least(f.units, least(wanted, most) - f.before) as units) t
        where f.before < least(wanted, most)
    ),
    reserved as (
        update raw_ops.batches b
        set qty_reserved = coalesce(b.qty_reserved, 0) + t.units, last_reservation_at = engine.now()
        from taken t where b.id = t.batch_id
    ),
    made as (
        insert into raw_ops.allocations
            (order_item_id, batch_id, qty_allocated, is_partial, remaining_qty, allocation_group_id, created_at)
        select item, t.batch_id, t.units, t.sum < wanted, wanted - t.sum, run, engine.now() from taken t order by t.sum
        returning qty_allocated
    )
    select coalesce(sum(m.qty_allocated), 0) into got from made m;
    return got;
end
$$;

create function raw_ops.resolve_export(export_id uuid, decision text, decided_by text) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    export raw_ops.export_outbox;
begin
    select * into export from raw_ops.export_outbox e where e.id = export_id for update;
    if not found then
        raise exception 'there is no export %', export_id using errcode = 'P0002';
    elsif decision is null or decision not in ('pending', 'confirmed', 'cancelled') or export.status in ('confirmed', 'cancelled') then
        raise exception 'export % is %, which does not become %', export.batch_id, export.status, coalesce(decision, 'null')
            using errcode = '22023';
    elsif exists (select from engine.unique_key u where u.kind = 'export.send_file' and u.key = export_id::text) then
        raise exception 'export % has a job: cancel it first', export.batch_id using errcode = '22023';
    end if;
    if decision = 'confirmed' then
        perform raw_ops.settle_export(export_id, 'confirmed');
    else
        -- Whether the drop has the file is asked of the drop again: it knows the name and the hash.
        update raw_ops.export_outbox e
        set status = decision, sent_at = case when decision = 'cancelled' then e.sent_at end
        where e.id = export_id;
    end if;
    if decision = 'cancelled' then
        perform from raw_ops.orders o where o.id = any (export.order_ids) order by o.id for no key update;
        -- Shopify ended it when it was thought to be at the packer: only a person knows what it is now.
        update raw_ops.orders o
        set status = 'ALLOCATED', exported_at = null,
            export_state = case when exists (
                select from raw_ops.ops_events e where e.entity_id = o.id and e.kind = 'order_ended_late') then 'ended' end
        where o.id = any (export.order_ids) and o.status = 'EXPORTED' and o.export_state in ('queued', 'exported');
        insert into raw_ops.exceptions_queue (order_id, issue_type, issue_description, created_at)
        select o.id, 'export_ended', format('It left export %s, and Shopify has ended it meanwhile: end it here too', export.batch_id), engine.now()
        from raw_ops.orders o where o.id = any (export.order_ids) and o.export_state = 'ended';
    end if;
    perform raw_ops.log_event('EXPORT', export_id, 'EXPORT_DECIDED', format('%s decided: %s -> %s', decided_by, export.status, decision),
        jsonb_build_object('by', decided_by, 'before', export.status, 'after', decision), null, null);
    return export.status;
end
$$;

create function raw_ops.resolve_message(mail_id uuid, decision text, decided_by text) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    mail raw_ops.outbox;
begin
    select * into mail from raw_ops.outbox o where o.id = mail_id for update;
    if not found then
        raise exception 'there is no mail %', mail_id using errcode = 'P0002';
    elsif not (decision in ('pending', 'cancelled') and mail.state in ('pending', 'failed', 'unknown', 'cancelled')
               or decision = 'sent' and mail.state = 'unknown') then
        raise exception 'mail % is %, which does not become %', mail_id, mail.state, coalesce(decision, 'null') using errcode = '22023';
    end if;
    if decision = 'sent' then
        perform raw_ops.mark_sent(mail_id, null);
    else
        update raw_ops.outbox o set state = decision, updated_at = engine.now() where o.id = mail_id;
    end if;
    insert into raw_ops.ops_events (entity_type, entity_id, kind, message, meta)
    values ('MESSAGE', mail_id, 'EMAIL_DECIDED', format('%s decided: %s -> %s', decided_by, mail.state, decision),
            jsonb_build_object('by', decided_by, 'before', mail.state, 'after', decision));
    return mail.state;
end
$$;

create function raw_ops.resolve_stopped_order(order_name text, decided_by text) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    found uuid[];
begin
    if coalesce(btrim(decided_by), '') = '' then
        raise exception 'an order is stopped with the name of who says so' using errcode = '22023';
    end if;
    found := array(select o.id from raw_ops.orders o where o.external_order_ref = order_name);
    if cardinality(found) = 0 then
        found := array(select o.id from raw_ops.orders o where o.order_number_label = order_name limit 2);
    end if;
    if cardinality(found) <> 1 then
        raise exception '% is called %', case cardinality(found) when 0 then 'no order' else 'more than one order' end, order_name
            using errcode = 'P0002';
    end if;
    return raw_ops.stop_order(found[1], btrim(decided_by));
end
$$;

create function raw_ops.retry_failed_webhooks(max_rows integer DEFAULT 100) returns TABLE(inbox_id uuid, job_id bigint)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    chosen uuid[] := array(select raw_ops.webhooks_to_retry(max_rows));
    of_seal uuid[] := array(select raw_ops.seal_webhooks_to_retry(max_rows));
    next_id uuid;
begin
    -- One by one, because the jobs are to be in this order.
    foreach next_id in array chosen loop
        update raw_ops.webhook_inbox i set processing_status = 'retrying', updated_at = engine.now() where i.id = next_id;
    end loop;
    foreach next_id in array of_seal loop
        update raw_ops.seal_webhook_inbox i set processing_status = 'retrying' where i.id = next_id;
    end loop;
    return query
        with tried as (
            select c.id, 1 as inbox, c.place, raw_ops.webhook_kind(i.source, i.topic) as kind
            from unnest(chosen) with ordinality c (id, place) join raw_ops.webhook_inbox i on i.id = c.id
            union all
            select c.id, 2, c.place, 'subscriptions.process_event' from unnest(of_seal) with ordinality c (id, place)
        ),
        made as (
            select t.id, t.inbox, t.place, u.kind, u.job_id from tried t join engine.unique_key u on u.kind = t.kind and u.key = t.id::text
        ),
        resolved as (
            update engine.dead_letter_queue d
            set resolved = true, resolved_at = engine.now(), resolved_by = 'retry_failed_webhooks', resolution = 'requeued',
                requeued_job_id = m.job_id
            from made m
            where d.topic = m.kind and not d.resolved and d.payload ->> 'inbox_id' = m.id::text
        )
        select m.id, m.job_id from made m order by m.inbox, m.place;
end
$$;

create function raw_ops.save_billing_attempt(sub raw_ops.subscriptions, attempt jsonb, is_news boolean, tries integer, tried_at timestamp with time zone) returns void
language plpgsql
as $$
declare
    status text := raw_ops.seal_attempt_status(attempt);
    ordered text := raw_ops.shopify_text(attempt, 'order_id');
begin
    insert into raw_ops.billing_attempts as b
        (subscription_id, seal_subscription_id, seal_billing_attempt_id, customer_id, scheduled_at, attempted_at, completed_at, status,
         shopify_order_id, order_id, error_code, error_message, retry_count, requires_authentication, authentication_url, amount_pence,
         currency, is_retry, triggered_manually, seal_payload, created_at, updated_at)
    select sub.id, sub.seal_subscription_id, attempt ->> 'id', sub.customer_id, raw_ops.seal_time(attempt ->> 'date'), tried_at,
        case when status = 'success' then coalesce(tried_at, raw_ops.seal_time(attempt ->> 'completed_at')) end, status, ordered,
        (select o.id from raw_ops.orders o where o.shopify_order_id = ordered),
        raw_ops.shopify_text(attempt, 'error_code'), raw_ops.shopify_text(attempt, 'error_message'), greatest(coalesce(tries, 1) - 1, 0),
        raw_ops.shopify_text(attempt, 'customer_authentication_challenge_url') is not null,
        raw_ops.shopify_text(attempt, 'customer_authentication_challenge_url'), round(sub.price_gbp * 100)::integer, sub.currency,
        coalesce(tries, 1) > 1, coalesce(lower(attempt ->> 'triggered_manually') in ('1', 'true', 'yes'), false), attempt,
        engine.now(), engine.now()
    on conflict (seal_billing_attempt_id) do update set
        scheduled_at = case when is_news then excluded.scheduled_at else b.scheduled_at end,
        attempted_at = greatest(b.attempted_at, excluded.attempted_at),
        completed_at = coalesce(b.completed_at, excluded.completed_at),
        status = excluded.status,
        shopify_order_id = coalesce(excluded.shopify_order_id, b.shopify_order_id),
        order_id = coalesce(excluded.order_id, b.order_id),
        error_code = coalesce(excluded.error_code, b.error_code),
        error_message = coalesce(excluded.error_message, b.error_message),
        amount_pence = case when is_news and raw_ops.attempt_rank(b.status) < 2 then excluded.amount_pence else b.amount_pence end,
        currency = case when is_news and raw_ops.attempt_rank(b.status) < 2 then excluded.currency else b.currency end,
        customer_id = coalesce(b.customer_id, excluded.customer_id),
        retry_count = greatest(b.retry_count, excluded.retry_count),
        requires_authentication = excluded.requires_authentication,
        authentication_url = excluded.authentication_url,
        is_retry = b.is_retry or excluded.is_retry,
        seal_payload = excluded.seal_payload,
        updated_at = excluded.updated_at
    where b.seal_subscription_id = excluded.seal_subscription_id
      and (raw_ops.attempt_rank(excluded.status) > raw_ops.attempt_rank(b.status)
           or (raw_ops.attempt_rank(excluded.status) = raw_ops.attempt_rank(b.status)
               and (is_news or excluded.retry_count > b.retry_count or (b.order_id is null and excluded.order_id is not null))));
end
$$;

create function raw_ops.save_billing_attempts(sub raw_ops.subscriptions, payload jsonb, is_news boolean) returns void
language plpgsql
as $$
declare
    told jsonb := coalesce(raw_ops.shopify_object(payload, 'failed_billing_attempt'), raw_ops.shopify_object(payload, 'processed_billing_attempt'));
    has_failed boolean := raw_ops.shopify_object(payload, 'failed_billing_attempt') is not null;
    attempt jsonb;
begin
    for attempt in
        select distinct on (a ->> 'id') a || case when a ->> 'id' = told ->> 'id'
            then jsonb_build_object('status', case when has_failed then 'failed' else 'success' end) else '{}' end
        from (
            select e, 1 from jsonb_array_elements(raw_ops.shopify_list(payload, 'billing_attempts')) e
            -- The schedule may not show the attempt any more that the webhook is about.
            union all select told, 2 where told is not null
        ) l (a, n)
        where raw_ops.shopify_text(a, 'id') is not null and raw_ops.seal_time(a ->> 'date') is not null
        order by a ->> 'id', n
    loop
        if attempt ->> 'id' = told ->> 'id' then
            perform raw_ops.save_billing_attempt(sub, attempt, is_news, (told ->> 'number_of_tries')::integer,
                raw_ops.seal_time(told ->> 'completed_at'));
        else
            perform raw_ops.save_billing_attempt(sub, attempt, is_news, null, raw_ops.seal_time(attempt ->> 'completed_at'));
        end if;
    end loop;
    if is_news and jsonb_typeof(payload -> 'billing_attempts') = 'array' then
        update raw_ops.billing_attempts b set status = 'cancelled', updated_at = engine.now()
        where b.seal_subscription_id = sub.seal_subscription_id and b.status in ('scheduled', 'skipped')
          and b.seal_billing_attempt_id is distinct from told ->> 'id'
          and not exists (select from jsonb_array_elements(payload -> 'billing_attempts') e where e ->> 'id' = b.seal_billing_attempt_id);
    end if;
    update raw_ops.orders o set is_subscription = true
    where not o.is_subscription and o.shopify_order_id in (
        select raw_ops.shopify_text(payload, 'order_id')
        union select b.shopify_order_id from raw_ops.billing_attempts b where b.seal_subscription_id = sub.seal_subscription_id);
end
$$;

create function raw_ops.save_seal_subscription(payload jsonb, customer uuid, old raw_ops.subscriptions, age timestamp with time zone, received timestamp with time zone) returns raw_ops.subscriptions
language plpgsql
as $$
declare
    saved raw_ops.subscriptions;
    now_status text := lower(payload ->> 'status');
    contract text := coalesce(raw_ops.shopify_text(payload, 'shopify_graphql_subscription_contract_id'), old.shopify_subscription_id,
        'seal:' || (payload ->> 'id'));
    days numeric := raw_ops.seal_days(payload ->> 'delivery_interval');
    card_year integer := (raw_ops.shopify_text(payload, 'card_expiry_year'))::integer;
    ship text := nullif(concat_ws(', ', raw_ops.shopify_text(payload, 's_address1'), raw_ops.shopify_text(payload, 's_address2'),
        raw_ops.shopify_text(payload, 's_city'), raw_ops.shopify_text(payload, 's_province'), raw_ops.shopify_text(payload, 's_zip'),
        raw_ops.shopify_text(payload, 's_country')), '');
begin
    -- The contract may be known only now, or be another one.
    update raw_ops.subscriptions s set shopify_subscription_id = contract where s.id = old.id and s.shopify_subscription_id <> contract;
    insert into raw_ops.subscriptions as s
        (customer_id, shopify_subscription_id, seal_subscription_id, seal_internal_id, shopify_customer_id, status, frequency_weeks,
         frequency_is_approximate, delivery_interval, billing_interval, price_gbp, currency, next_billing_date, paused_at, cancelled_at,
         shipping_address, email, card_brand, card_last_digits, card_expiry_month, card_expiry_year, variant_id, subscription_created_at,
         last_synced_at, seal_updated_at, seal_payload, created_at, updated_at)
    values (customer, contract,
        payload ->> 'id', raw_ops.shopify_text(payload, 'internal_id'), (raw_ops.shopify_text(payload, 'customer_id'))::bigint, now_status,
        coalesce(greatest(round(days / 7), 1)::integer, old.frequency_weeks, 4),
        coalesce(days % 7 <> 0, old.frequency_is_approximate, true), raw_ops.shopify_text(payload, 'delivery_interval'),
        raw_ops.shopify_text(payload, 'billing_interval'), coalesce((raw_ops.shopify_text(payload, 'total_value'))::numeric, old.price_gbp),
        coalesce(upper(raw_ops.shopify_text(payload, 'currency')), old.currency, 'GBP'),
        case when now_status = 'active' then (
            select min((raw_ops.seal_time(a ->> 'date') at time zone 'Europe/London')::date)
            from jsonb_array_elements(raw_ops.shopify_list(payload, 'billing_attempts')) a where raw_ops.seal_attempt_status(a) = 'scheduled'
        ) end,
        case when now_status = 'paused' then coalesce(raw_ops.seal_time(payload ->> 'paused_on'), old.paused_at, age, received) end,
        case when now_status in ('cancelled', 'expired') then coalesce(raw_ops.seal_time(payload ->> 'cancelled_on'), old.cancelled_at, age, received) end,
        ship, raw_ops.shopify_text(payload, 'email'), raw_ops.shopify_text(payload, 'card_brand'),
        raw_ops.shopify_text(payload, 'card_last_digits'), (raw_ops.shopify_text(payload, 'card_expiry_month'))::integer,
        card_year + case when card_year < 100 then 2000 else 0 end,
        (raw_ops.shopify_text(raw_ops.shopify_list(payload, 'items') -> 0, 'variant_id'))::bigint,
        coalesce(raw_ops.seal_time(payload ->> 'order_placed'), old.subscription_created_at), received, age, payload, engine.now(), engine.now())
    on conflict (shopify_subscription_id) do update set
        (customer_id, seal_subscription_id, seal_internal_id, shopify_customer_id, status, frequency_weeks, frequency_is_approximate)
            = (excluded.customer_id, excluded.seal_subscription_id, excluded.seal_internal_id, excluded.shopify_customer_id, excluded.status,
               excluded.frequency_weeks, excluded.frequency_is_approximate),
        (delivery_interval, billing_interval, price_gbp, currency, next_billing_date, paused_at, cancelled_at)
            = (excluded.delivery_interval, excluded.billing_interval, excluded.price_gbp, excluded.currency, excluded.next_billing_date,
               excluded.paused_at, excluded.cancelled_at),
        (shipping_address, email, card_brand, card_last_digits, card_expiry_month, card_expiry_year, variant_id)
            = (excluded.shipping_address, excluded.email, excluded.card_brand, excluded.card_last_digits, excluded.card_expiry_month,
               excluded.card_expiry_year, excluded.variant_id),
        (subscription_created_at, last_synced_at, seal_updated_at, seal_payload, updated_at)
            = (excluded.subscription_created_at, excluded.last_synced_at, excluded.seal_updated_at, excluded.seal_payload, excluded.updated_at)
    returning * into saved;
    return saved;
end
$$;

create function raw_ops.save_shopify_customer(customer uuid, payload jsonb) returns void
language plpgsql
as $$
declare
    -- Asked once: in the statement below it would be asked for each column.
    is_ours boolean := raw_ops.awaits_address_sync(customer);
begin
    perform set_config('rawops.address_source', 'shopify', true);
    update raw_ops.customers c
    set first_name = coalesce(n.first_name, c.first_name),
        last_name = coalesce(n.last_name, c.last_name),
        phone = coalesce(n.phone, c.phone),
        marketing_opt_in = c.marketing_opt_in and n.agreed is distinct from false,
        address_json = coalesce(n.address, c.address_json),
        address1 = case when n.address is null then c.address1 else raw_ops.shopify_text(n.address, 'address1') end,
        address2 = case when n.address is null then c.address2 else raw_ops.shopify_text(n.address, 'address2') end,
        city = case when n.address is null then c.city else raw_ops.shopify_text(n.address, 'city') end,
        region = case when n.address is null then c.region else raw_ops.shopify_text(n.address, 'province') end,
        postcode = case when n.address is null then c.postcode else raw_ops.shopify_text(n.address, 'zip') end,
        country_code = case when n.address is null then c.country_code
                            else raw_ops.shopify_text(n.address, 'country_code') end
    from (
        select
            coalesce(raw_ops.shopify_text(d.person, 'first_name'), raw_ops.shopify_text(d.ship_to, 'first_name')) as first_name,
            coalesce(raw_ops.shopify_text(d.person, 'last_name'), raw_ops.shopify_text(d.ship_to, 'last_name')) as last_name,
            coalesce(raw_ops.shopify_text(d.person, 'phone'), raw_ops.shopify_text(payload, 'phone')) as phone,
            raw_ops.shopify_marketing(d.person) as agreed,
            case when not is_ours then coalesce(raw_ops.shopify_object(d.person, 'default_address'),
                case when k.address_json is null then d.ship_to end) end as address
        from raw_ops.customers k,
            (select raw_ops.shopify_object(payload, 'customer') as person,
                    raw_ops.shopify_object(payload, 'shipping_address') as ship_to) d
        where k.id = customer
    ) n
    where c.id = customer
      and (c.updated_at_shopify is null or c.updated_at_shopify <= coalesce(raw_ops.shopify_text(payload, 'updated_at'),
          raw_ops.shopify_text(payload, 'created_at'))::timestamptz);
    perform set_config('rawops.address_source', '', true);
end
$$;

create function raw_ops.save_shopify_items(payload jsonb, saved_order uuid, ended boolean) returns void
language plpgsql
as $$
declare
    pounds boolean := upper(payload ->> 'currency') = 'GBP';
    taken text;
begin
    insert into raw_ops.order_items as i (
        order_id, product_id, qty, quantity, fulfilled_qty, unit_price_ex_vat, unit_price_gbp,
        shopify_line_item_id, shopify_product_id, sku, product_name, pet_number, pet_name, daily_grams, life_stage
    )
    select
        saved_order, p.id, l.qty, l.qty, l.fulfilled, u.price, case when pounds then u.price end,
        l.line_id, l.line ->> 'product_id', raw_ops.shopify_text(l.line, 'sku'),
        coalesce(raw_ops.shopify_text(l.line, 'title'), raw_ops.shopify_text(l.line, 'name')),
        raw_ops.whole_number(raw_ops.shopify_named_value(l.line -> 'properties', 'pet_number')),
        raw_ops.shopify_named_value(l.line -> 'properties', 'pet_name'),
        raw_ops.whole_number(raw_ops.shopify_named_value(l.line -> 'properties', 'daily_grams')),
        raw_ops.shopify_named_value(l.line -> 'properties', 'life_stage')
    from raw_ops.shopify_lines_left(payload, ended) l
    cross join raw_ops.shopify_unit_price_ex_vat(l.line, payload) u (price)
    left join raw_ops.products p on p.sku = raw_ops.shopify_text(l.line, 'sku')
    order by l.line_id
    on conflict (shopify_line_item_id) do update set
        product_id = coalesce(excluded.product_id, i.product_id),
        qty = excluded.qty,
        quantity = excluded.quantity,
        fulfilled_qty = greatest(i.fulfilled_qty, excluded.fulfilled_qty),
        unit_price_ex_vat = excluded.unit_price_ex_vat,
        unit_price_gbp = excluded.unit_price_gbp,
        shopify_product_id = excluded.shopify_product_id,
        sku = excluded.sku,
        product_name = excluded.product_name,
        pet_number = coalesce(excluded.pet_number, i.pet_number),
        pet_name = coalesce(excluded.pet_name, i.pet_name),
        daily_grams = coalesce(excluded.daily_grams, i.daily_grams),
        life_stage = coalesce(excluded.life_stage, i.life_stage)
    where i.order_id = excluded.order_id;

    select l.line_id into taken
    from raw_ops.shopify_live_lines(payload, ended) l
    join raw_ops.order_items i on i.shopify_line_item_id = l.line_id and i.order_id <> saved_order
    limit 1;
    if taken is not null then
        raise exception 'line item % belongs to another order', taken using errcode = '23514';
    end if;

    delete from raw_ops.order_items i
    where i.order_id = saved_order and i.shopify_line_item_id is not null and i.fulfilled_qty = 0
      and not exists (
          select from raw_ops.shopify_lines_left(payload, ended) l where l.line_id = i.shopify_line_item_id
      );
end
$$;

create function raw_ops.save_shopify_order(payload jsonb, updated_at timestamp with time zone, customer uuid, new_status raw_ops.order_status) returns uuid
language plpgsql
as $$
declare
    saved_order uuid;
begin
    with n as (
        select m.*, t.*,
            upper(payload ->> 'currency') as currency,
            upper(payload ->> 'currency') = 'GBP' as pounds,
            raw_ops.shopify_utm(payload) as utm,
            (payload ->> 'created_at')::timestamptz as created_at,
            (payload ->> 'processed_at')::timestamptz as processed_at
        from raw_ops.shopify_order_money(payload) m
        left join raw_ops.shopify_ship_to(payload) t on true
    )
    insert into raw_ops.orders as o (
        shopify_order_id, customer_id, status, currency, is_subscription, utm, utm_json,
        subtotal_ex_vat, vat, total_inc_vat, subtotal_gbp, tax_gbp, total_gbp, discount_gbp,
        order_number_label, created_at, ordered_at, created_at_shopify, updated_at_shopify, fulfillment_status,
        ship_name, ship_phone, ship_address1, ship_address2, ship_city, ship_postcode, ship_country,
        notes_json, tags, discount_codes, referral_slug
    )
    select
        payload ->> 'id', customer, new_status, n.currency, raw_ops.shopify_is_subscription(payload), n.utm, n.utm,
        n.subtotal_ex_vat, n.vat, n.total_inc_vat,
        case when n.pounds then n.subtotal_ex_vat end, case when n.pounds then n.vat end,
        case when n.pounds then n.total_inc_vat end, case when n.pounds then n.discount end,
        coalesce(raw_ops.shopify_text(payload, 'name'), '#' || (payload ->> 'order_number')),
        engine.now(), coalesce(n.processed_at, n.created_at, updated_at), n.created_at, updated_at,
        raw_ops.shopify_text(payload, 'fulfillment_status'),
        n.name, n.phone, n.address1, n.address2, n.city, n.postcode, n.country,
        raw_ops.shopify_notes(payload), raw_ops.shopify_tags(payload), payload -> 'discount_codes',
        coalesce(raw_ops.shopify_named_value(payload -> 'note_attributes', 'referral_slug'),
                 raw_ops.shopify_named_value(payload -> 'note_attributes', 'ref'))
    from n
    on conflict (shopify_order_id) do update set
        (status, updated_at_shopify, fulfillment_status, notes_json)
            = (excluded.status, excluded.updated_at_shopify, excluded.fulfillment_status, excluded.notes_json),
        (currency, subtotal_ex_vat, vat, total_inc_vat)
            = (excluded.currency, excluded.subtotal_ex_vat, excluded.vat, excluded.total_inc_vat),
        (subtotal_gbp, tax_gbp, total_gbp, discount_gbp)
            = (excluded.subtotal_gbp, excluded.tax_gbp, excluded.total_gbp, excluded.discount_gbp),
        (ship_name, ship_phone, ship_address1, ship_address2, ship_city, ship_postcode, ship_country) = (
            select v.name, v.phone, v.address1, v.address2, v.city, v.postcode, v.country
            from (values
                (true, excluded.ship_name, excluded.ship_phone, excluded.ship_address1, excluded.ship_address2,
                 excluded.ship_city, excluded.ship_postcode, excluded.ship_country),
                (false, o.ship_name, o.ship_phone, o.ship_address1, o.ship_address2,
                 o.ship_city, o.ship_postcode, o.ship_country)
            ) v (named, name, phone, address1, address2, city, postcode, country)
            where v.named = (raw_ops.shopify_object(payload, 'shipping_address') is not null)
        ),
        customer_id = coalesce(excluded.customer_id, o.customer_id),
        is_subscription = o.is_subscription or excluded.is_subscription,
        utm = coalesce(excluded.utm, o.utm),
        utm_json = coalesce(excluded.utm, o.utm),
        order_number_label = coalesce(excluded.order_number_label, o.order_number_label),
        created_at_shopify = coalesce(excluded.created_at_shopify, o.created_at_shopify),
        ordered_at = case when payload ? 'processed_at' or payload ? 'created_at' then excluded.ordered_at else o.ordered_at end,
        tags = case when payload ? 'tags' then excluded.tags else o.tags end,
        discount_codes = coalesce(excluded.discount_codes, o.discount_codes),
        referral_slug = coalesce(excluded.referral_slug, o.referral_slug)
    returning o.id into saved_order;
    return saved_order;
end
$$;

create function raw_ops.save_temperature_log(inbox_id uuid, parcel_id uuid, readings jsonb, figures jsonb, class text, details text) returns bigint
language plpgsql
as $$
#variable_conflict use_variable
declare
    began timestamptz := clock_timestamp();  -- Elapsed work, not a date: the real clock even under a test clock.
    inbox raw_ops.webhook_inbox;
    parcel raw_ops.shipments;
    logger text;
    made bigint;
begin
    select * into parcel from raw_ops.shipments s where s.id = parcel_id for update;
    select * into inbox from raw_ops.webhook_inbox w where w.id = $1 for update;
    logger := coalesce(raw_ops.shopify_text(inbox.raw_payload, 'logger_id'), 'unknown');
    insert into raw_ops.temperature_logger_data as d
        (order_id, shipment_id, logger_id, logger_type, readings, min_temp_c, max_temp_c, avg_temp_c, time_above_5c_minutes,
         time_above_10c_minutes, trip_start_at, trip_end_at, trip_duration_hours, cold_chain_intact, breach_detected, breach_details,
         data_uploaded_at, data_source, raw_file_url, created_at, inbox_id)
    select parcel.order_id, parcel.id, logger, coalesce(raw_ops.shopify_text(inbox.raw_payload, 'logger_type'), 'USB'), readings,
        f.min, f.max, f.mean, f.above_5, f.above_10, f.start, f."end", round(extract(epoch from f."end" - f.start) / 3600, 2),
        case class when 'PASS' then true when 'FAIL' then false end, class = 'FAIL', details, inbox.received_at, 'upload',
        'webhook_inbox/' || inbox.id, engine.now(), inbox.id
    from jsonb_to_record(figures) f (min numeric, max numeric, mean numeric, above_5 integer, above_10 integer, start timestamptz, "end" timestamptz)
    on conflict on constraint temperature_logger_data_inbox_id_key do nothing
    returning d.id into made;
    if made is not null then
        perform raw_ops.audit_temperature(parcel.id, inbox.raw_payload ->> 'position', 'webhook_inbox/' || inbox.id,
            (figures ->> 'arrival')::numeric, class);
        perform raw_ops.log_event('SHIPMENT', parcel.id, case class when 'FAIL' then 'TEMPERATURE_ALERT' else 'TEMPERATURE_LOGGED' end,
            coalesce(details, 'The parcel stayed cold'), jsonb_build_object('order_id', parcel.order_id, 'class', class, 'logger_id', logger),
            'logger', inbox.id);
        if class = 'FAIL' then
            perform raw_ops.tell_of_breach(parcel, logger, details);
        end if;
    end if;
    perform raw_ops.settle_webhook(inbox.id, began);
    return coalesce(made, (select d.id from raw_ops.temperature_logger_data d where d.inbox_id = inbox.id));
end
$$;

create function raw_ops.seal_age(payload jsonb) returns timestamp with time zone
language sql stable
as $$
    select max(raw_ops.seal_time(t.written))
    from (
        select e ->> 'created' from jsonb_array_elements(raw_ops.shopify_list(payload, 'log')) e
        union all select a ->> 'completed_at' from jsonb_array_elements(raw_ops.shopify_list(payload, 'billing_attempts')) a
        union all select payload -> 'failed_billing_attempt' ->> 'completed_at'
        union all select payload -> 'processed_billing_attempt' ->> 'completed_at'
        union all select payload ->> 'paused_on'
        union all select payload ->> 'cancelled_on'
        union all select payload ->> 'order_placed'
    ) t (written)
$$;

create function raw_ops.seal_attempt_status(attempt jsonb) returns text
language sql immutable parallel safe
as $$
    select case
        when lower(attempt ->> 'status') in ('success', 'succeeded', 'completed', 'processed', 'paid') or raw_ops.shopify_text(attempt, 'order_id') is not null
            then 'success'
        when lower(attempt ->> 'status') in ('failed', 'error', 'failure')
            or coalesce(raw_ops.shopify_text(attempt, 'error_code'), raw_ops.shopify_text(attempt, 'error_message')) is not null then 'failed'
        when lower(attempt ->> 'status') in ('skipped', 'skip') then 'skipped'
        when lower(attempt ->> 'status') in ('cancelled', 'canceled') then 'cancelled'
        else 'scheduled'
    end
$$;

create function raw_ops.seal_customer(payload jsonb, inbox_id uuid) returns uuid
language plpgsql
as $$
declare
    known uuid;
begin
    select c.id into known from raw_ops.customers c where c.shopify_customer_id = raw_ops.shopify_text(payload, 'customer_id');
    if known is null then
        known := raw_ops.shopify_customer_id(jsonb_build_object('customer', jsonb_build_object(
            'id', raw_ops.shopify_text(payload, 'customer_id'), 'email', raw_ops.shopify_text(payload, 'email'))), inbox_id);
        -- Of a customer who is known, Shopify says more and newer.
        update raw_ops.customers c
        set first_name = coalesce(c.first_name, raw_ops.shopify_text(payload, 'first_name')),
            last_name = coalesce(c.last_name, raw_ops.shopify_text(payload, 'last_name'))
        where c.id = known;
    end if;
    return known;
end
$$;

create function raw_ops.seal_days(written text) returns numeric
language sql immutable parallel safe
as $$
    select m[1]::numeric * case m[2] when 'day' then 1 when 'week' then 7 when 'month' then 30.4375 else 365.25 end
    from regexp_match(lower(btrim(written)), '^([1-9][0-9]{0,3}) (day|week|month|year)s?$') m
$$;

create function raw_ops.seal_event(topic text, status_before text, status_now text) returns text
language sql immutable parallel safe
as $$
    select case
        when status_before is null and topic like 'subscription/%' then 'subscription.created'
        when topic like 'subscription/%' and status_before <> status_now then 'subscription.' || case
            when status_now <> 'active' then status_now when status_before = 'paused' then 'resumed' else 'reactivated' end
        else replace(replace(topic, '/', '.'), 'succeeded', 'success')
    end
$$;

create function raw_ops.seal_time(written text) returns timestamp with time zone
language sql stable parallel safe
as $$
    select case
        when nullif(btrim(written), '') is null then null
        when written ~ '(Z|[+-][0-9]{2}:?[0-9]{2})$' then written::timestamptz
        else written::timestamp at time zone 'UTC'
    end
$$;

create function raw_ops.seal_webhooks_to_retry(max_rows integer) returns SETOF uuid
language sql
as $$
    select i.id
    from raw_ops.seal_webhook_inbox i
    where i.processing_status in ('pending', 'processing', 'failed', 'retrying')
      and greatest(i.received_at, i.processed_at) < (select engine.now()) - interval '5 minutes'
      and raw_ops.may_come_right(i.error_category, i.processing_attempts, i.received_at)
      and not exists (select from engine.unique_key u where u.kind = 'subscriptions.process_event' and u.key = i.id::text)
    order by i.received_at, i.id
    limit max_rows
    for no key update skip locked
$$;

create function raw_ops.set_address_state(change_id uuid, target text, state text, words text) returns void
language plpgsql
as $$
declare
    at timestamptz := engine.now();
    is_synced boolean := state = 'synced';
begin
    if target = 'shopify' then
        update raw_ops.address_changes a
        set shopify_state = state, shopify_error = words, shopify_begun_at = case state when 'telling' then at else a.shopify_begun_at end,
            shopify_synced = is_synced, shopify_synced_at = case when is_synced then at end
        where a.id = change_id;
    else
        update raw_ops.address_changes a
        set seal_state = state, seal_error = words, seal_begun_at = case state when 'telling' then at else a.seal_begun_at end,
            seal_synced = is_synced, seal_synced_at = case when is_synced then at end
        where a.id = change_id;
    end if;
end
$$;

create function raw_ops.set_allocation_status(wanted_order uuid, outcome text) returns void
language plpgsql
as $$
declare
    wanted raw_ops.order_status :=
        case outcome when 'allocated' then 'ALLOCATED' when 'partial' then 'PARTIALLY_ALLOCATED' else 'PAID' end;
begin
    update raw_ops.orders o set status = wanted where o.id = wanted_order and o.status <> wanted;
end
$$;

create function raw_ops.set_public_batch_id() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    new.public_batch_id := raw_ops.generate_public_batch_id(new.batch_code);
    return new;
end
$$;

create function raw_ops.settle_address_sync(change_id uuid, target text, outcome text, words text) returns text
language plpgsql
as $$
declare
    change raw_ops.address_changes;
    is_told boolean := target = 'shopify' and outcome = 'synced';
begin
    if is_told then
        perform from raw_ops.customers c
        where c.id = (select a.customer_id from raw_ops.address_changes a where a.id = change_id) for no key update;
    end if;
    select * into change from raw_ops.address_changes a where a.id = change_id for update;
    if raw_ops.address_state(change, target) in ('pending', 'telling', 'failed') then
        perform raw_ops.set_address_state(change_id, target, outcome, words);
        update raw_ops.customers c set updated_at_shopify = greatest(c.updated_at_shopify, change.shopify_begun_at)
        where is_told and c.id = change.customer_id;
        return outcome;
    end if;
    return raw_ops.address_state(change, target);
end
$$;

create function raw_ops.settle_alert(alert_id uuid, told_repeats integer, words text) returns void
language plpgsql
as $$
declare
    alert raw_ops.alert_log;
begin
    select * into alert from raw_ops.alert_log a where a.id = alert_id for update;
    if words is not null then
        update raw_ops.alert_log a set retry_count = coalesce(a.retry_count, 0) + 1, delivery_response = words where a.id = alert_id;
        return;
    end if;
    update raw_ops.alert_log a
    set delivery_status = 'sent', delivery_response = 'ok', repeats = told_repeats, sent_at = engine.now()
    where a.id = alert_id and a.delivery_status in ('pending', 'failed');
    if alert.repeats > told_repeats then
        insert into raw_ops.alert_log
            (sent_at, channel, severity, title, source_check, payload_json, delivery_status, idempotency_key, repeats)
        values (engine.now(), alert.channel, alert.severity, alert.title, alert.source_check, alert.payload_json, 'suppressed',
                alert.idempotency_key, alert.repeats - told_repeats);
    end if;
end
$$;

create function raw_ops.settle_allocation_queue(wanted_order uuid, missing text) returns void
language plpgsql
as $$
begin
    update raw_ops.allocation_queue q
    set attempts = coalesce(q.attempts, 0) + 1, started_at = coalesce(q.started_at, engine.now()), last_error = missing
    where q.order_id = wanted_order and q.state in ('pending', 'processing');
    if not found and missing is not null then
        insert into raw_ops.allocation_queue (order_id, created_at, started_at, attempts, last_error)
        values (wanted_order, engine.now(), engine.now(), 1, missing);
    end if;
    update raw_ops.allocation_queue q set state = 'completed', completed_at = engine.now(), last_error = null
    where q.order_id = wanted_order and q.state in ('pending', 'processing')
      and (missing is null or (q.order_item_id is not null and not exists (
          select from raw_ops.order_needs(wanted_order) n where n.order_item_id = q.order_item_id)));
end
$$;

create function raw_ops.settle_changed_lines(agreeing_order uuid, label text, inbox_id uuid) returns void
language plpgsql
as $$
declare
    agreed_at timestamptz := raw_ops.lines_agreed_at(agreeing_order);
begin
    if exists (select from raw_ops.ops_events e
               where e.entity_id = agreeing_order and e.kind = 'order_changed_late' and e.created_at > agreed_at) then
        update raw_ops.exceptions_queue x set resolved = true, resolved_at = engine.now(), resolved_by = 'system'
        where x.order_id = agreeing_order and x.issue_type = 'order_changed_late' and not x.resolved;
        perform raw_ops.log_event('ORDER', agreeing_order, 'order_changed_back',
            format('The lines of order %s are again what Shopify has', label), null, 'shopify', inbox_id);
    end if;
end
$$;

create function raw_ops.settle_event(told_id uuid, ulid text, words text) returns void
language sql
as $$
    update raw_ops.lifecycle_events e
    set attempts = e.attempts + 1, last_error = words,
        status = case when words is null then 'processed' else e.status end,
        processed_at = case when words is null then engine.now() end,
        customerio_event_id = case when words is null then ulid else e.customerio_event_id end,
        -- The last ten are kept.
        error_history = case when words is null then e.error_history else
            (select coalesce(jsonb_agg(h.entry order by h.place), '[]') from (
                select x.entry, x.place from jsonb_array_elements(
                    coalesce(e.error_history, '[]') || jsonb_build_array(jsonb_build_object('at', engine.now(), 'error', words))
                ) with ordinality x (entry, place) order by x.place desc limit 10) h)
            end
    where e.id = told_id and e.status <> 'cancelled'
$$;

create function raw_ops.settle_export(export_id uuid, outcome text) returns text
language plpgsql
as $$
declare
    export raw_ops.export_outbox;
begin
    select * into export from raw_ops.export_outbox e where e.id = export_id for update;
    if export.status not in ('pending', 'sending', 'sent', 'failed') then
        return export.status;
    end if;
    update raw_ops.export_outbox e
    set status = outcome, sent_at = coalesce(e.sent_at, engine.now()), error_message = null,
        confirmed_at = case when outcome = 'confirmed' then engine.now() end
    where e.id = export_id;
    perform from raw_ops.orders o where o.id = any (export.order_ids) order by o.id for no key update;
    update raw_ops.orders o
    set export_state = case outcome when 'confirmed' then 'acked' else 'exported' end,
        exported_at = coalesce(o.exported_at, engine.now()),
        acked_at = case when outcome = 'confirmed' then engine.now() end
    where o.id = any (export.order_ids) and o.export_state in ('queued', 'exported');
    return outcome;
end
$$;

create function raw_ops.settle_message(mail_id uuid, outcome text, delivery text, words text) returns text
language plpgsql
as $$
declare
    mail raw_ops.outbox;
    report raw_ops.delivery_reports;
begin
    select * into mail from raw_ops.outbox o where o.id = mail_id for update;
    if outcome = 'sent' then
        -- What a report has said of it stands; what a person wished meanwhile came too late.
        if mail.state in ('sent', 'failed') then
            update raw_ops.outbox o set delivery_id = coalesce(o.delivery_id, delivery) where o.id = mail_id;
            return mail.state;
        end if;
        perform raw_ops.mark_sent(mail_id, delivery);
        return 'sent';
    elsif mail.state is distinct from 'sending' then
        return mail.state;
    end if;
    update raw_ops.outbox o set state = outcome, error_message = words, updated_at = engine.now() where o.id = mail_id;
    if outcome = 'unknown' then
        -- The report may have come before this.
        select r.* into report from raw_ops.delivery_reports r
        where r.outbox_id is null and r.recipient = lower(mail.payload_json ->> 'to')
          and r.reported_at between mail.last_sent_at - interval '5 minutes' and mail.last_sent_at + interval '1 hour'
          and raw_ops.mail_of_report(r.recipient, r.reported_at) = mail_id
        order by r.reported_at limit 1 for update;
        if found then
            update raw_ops.delivery_reports r set outbox_id = mail_id, recipient = null where r.delivery_id = report.delivery_id;
            perform raw_ops.apply_report(mail_id, report.delivery_id, report.metric, report.reason);
        end if;
    end if;
    return (select o.state from raw_ops.outbox o where o.id = mail_id);
end
$$;

create function raw_ops.settle_pack_check(judged bigint, variance_kg numeric, variance_pct numeric, seconds integer, faults text[]) returns void
language plpgsql
as $$
declare
    checked raw_ops.pack_quality_checks;
    words text := array_to_string(faults, '; ');
begin
    perform from raw_ops.orders o
    where o.id = (select c.order_id from raw_ops.pack_quality_checks c where c.id = judged) for no key update;
    update raw_ops.pack_quality_checks c
    set weight_variance_kg = settle_pack_check.variance_kg, weight_variance_pct = settle_pack_check.variance_pct,
        pack_time_seconds = coalesce(seconds, c.pack_time_seconds),
        packing_instruction_id = coalesce(c.packing_instruction_id,
            (select i.id from raw_ops.packing_instructions i where i.order_id = c.order_id)),
        shopify_order_id = coalesce(c.shopify_order_id, (select o.shopify_order_id from raw_ops.orders o where o.id = c.order_id))
    where c.id = judged
    returning * into checked;
    if words = '' then
        update raw_ops.exceptions_queue e set resolved = true, resolved_at = engine.now(), resolved_by = 'packing.judge_check'
        where e.order_id = checked.order_id and e.issue_type = 'packed_wrong' and not e.resolved
          and (e.raw_data ->> 'check_id')::bigint < judged;
        return;
    end if;
    insert into raw_ops.exceptions_queue (order_id, issue_type, issue_description, raw_data, created_at)
    select checked.order_id, 'packed_wrong', words, jsonb_build_object('check_id', judged, 'packed_by', checked.packed_by), engine.now()
    where checked.order_id is not null
      and not exists (
          select from raw_ops.exceptions_queue e
          where e.order_id = checked.order_id and e.issue_type = 'packed_wrong' and (e.raw_data ->> 'check_id')::bigint = judged);
    perform from raw_ops.raise_alert('warning', 'A box was packed wrong',
        format('Order %s, packed by %s: %s', coalesce(checked.shopify_order_id, checked.order_id::text, 'unknown'), checked.packed_by, words),
        key => 'pack check ' || judged, source_check => 'packing');
end
$$;

create function raw_ops.settle_reconciliation(until timestamp with time zone, missed integer) returns void
language plpgsql
as $$
begin
    insert into raw_ops.system_config as c (key, value) values ('shopify.orders_reconciled_until', until::text)
    on conflict (key) do update set value = excluded.value where c.value::timestamptz < excluded.value::timestamptz;
    if missed > 0 then
        perform from raw_ops.raise_alert('warning', 'Webhooks of Shopify were missed',
            format('%s orders had changed at Shopify and no webhook had told of it. See whether the subscriptions are still there.', missed),
            key => 'webhooks missed', source_check => 'webhooks');
    end if;
end
$$;

create function raw_ops.settle_refunded_order(payload jsonb, refunded raw_ops.orders, inbox_id uuid) returns integer
language plpgsql
as $$
declare
    given_back numeric;
    ended boolean;
    new_status raw_ops.order_status;
begin
    select coalesce(sum(r.amount_gbp), 0) into given_back from raw_ops.refunds r where r.order_id = refunded.id and r.status = 'processed';
    ended := given_back > 0 and given_back >= refunded.total_inc_vat;
    new_status := case when ended then raw_ops.next_order_status(refunded.status, 'REFUNDED') else refunded.status end;
    if new_status <> refunded.status then
        update raw_ops.orders o set status = new_status where o.id = refunded.id;
        perform raw_ops.request_allocation(refunded.id, new_status);
    elsif refunded.status in ('PENDING', 'PAID', 'PARTIALLY_ALLOCATED', 'ALLOCATED') then
        return raw_ops.shrink_refunded_lines(payload, refunded, inbox_id);
    elsif refunded.status in ('EXPORTED', 'DISPATCHED') and (ended or exists (select from raw_ops.shopify_cancelled_lines(payload))) then
        perform raw_ops.tell_of_late_end(refunded.id, format(
            'Shopify refunded order %s when it was %s already: stop it at the packer or expect it back',
            refunded.order_number_label, refunded.status), inbox_id);
    end if;
    return 0;
end
$$;

create function raw_ops.settle_shopify_items(payload jsonb, old raw_ops.orders, saved_order uuid, new_status raw_ops.order_status, inbox_id uuid) returns void
language plpgsql
as $$
declare
    differs text;
begin
    if old.id is null or old.status in ('PENDING', 'PAID') then
        perform raw_ops.save_shopify_items(payload, saved_order, new_status in ('CANCELLED', 'REFUNDED'));
        return;
    end if;
    update raw_ops.order_items i set fulfilled_qty = l.fulfilled
    from raw_ops.shopify_live_lines(payload, true) l
    where i.order_id = saved_order and i.shopify_line_item_id = l.line_id and l.fulfilled > i.fulfilled_qty;
    -- An end is told by itself, whatever status the order can still get.
    if new_status in ('CANCELLED', 'REFUNDED') or raw_ops.shopify_order_status(payload) in ('CANCELLED', 'REFUNDED') then
        return;
    end if;
    differs := raw_ops.shopify_item_changes(payload, saved_order);
    if differs is null then
        perform raw_ops.settle_changed_lines(saved_order, payload ->> 'name', inbox_id);
    -- What left has left. What is not wanted any more is refunded, in a document of its own that may come later, and does by itself what
    -- is to be done; at the packer too it is told once.
    elsif (new_status = 'EXPORTED' and not raw_ops.has_ended_late(saved_order))
        or (new_status in ('PARTIALLY_ALLOCATED', 'ALLOCATED') and raw_ops.shopify_wants_more(payload, saved_order)) then
        perform raw_ops.tell_of_changed_lines(saved_order, payload ->> 'name', new_status, differs, inbox_id);
    else
        perform raw_ops.log_order_once(saved_order, 'order_changed_late', format(
            'Shopify changed the lines of order %s when it was %s already; they were left as they are',
            payload ->> 'name', new_status), 'shopify', inbox_id);
    end if;
end
$$;

create function raw_ops.settle_subscription_payment(sub uuid) returns void
language plpgsql
as $$
declare
    newest raw_ops.billing_attempts;
begin
    select * into newest from raw_ops.billing_attempts b
    where b.subscription_id = sub and b.status in ('success', 'failed')
    order by b.scheduled_at desc, b.id limit 1;
    if newest.status = 'success' or newest.error_code = 'INVOICE_ALREADY_PAID' then
        update raw_ops.subscriptions s
        set payment_status = 'healthy', failed_payment_count = 0, dunning_started_at = null, last_error_message = null,
            dunning_email_day0_sent = false, dunning_email_day3_sent = false, dunning_email_day7_sent = false, dunning_email_day10_sent = false
        where s.id = sub and (s.payment_status <> 'healthy' or s.dunning_started_at is not null);
    elsif newest.status = 'failed' then
        update raw_ops.subscriptions s
        set payment_status = case when s.status = 'active' then 'failing' else 'failed' end,
            failed_payment_count = newest.retry_count + 1, last_failed_at = greatest(s.last_failed_at, newest.attempted_at, newest.scheduled_at),
            dunning_started_at = coalesce(
                (select min(e.event_at) from raw_ops.subscription_events e
                 where e.subscription_id = sub and e.event_type = 'billing_attempt.failed' and e.payload ->> 'attempt' = newest.seal_billing_attempt_id),
                s.dunning_started_at, newest.attempted_at, newest.scheduled_at), last_error_message = newest.error_message
        where s.id = sub;
    end if;
end
$$;

create function raw_ops.settle_webhook(inbox_id uuid, began timestamp with time zone) returns void
language plpgsql
as $$
begin
    update raw_ops.webhook_inbox w
    set processing_status = 'success', processed_at = engine.now(), updated_at = engine.now(),
        processing_attempts = w.processing_attempts + 1, last_error = null, error_category = null,
        processing_duration_ms = extract(milliseconds from clock_timestamp() - began),
        processing_time_ms = extract(milliseconds from clock_timestamp() - began)
    where w.id = inbox_id;
end
$$;

create function raw_ops.severity_rank(severity text) returns integer
language sql immutable
as $$ select array_position(array['info', 'warning', 'critical'], severity) $$;

create function raw_ops.shipment_figures(customer uuid) returns TABLE(newest_shipment_id uuid, newest_shipment_status raw_ops.shipment_status, courier text, tracking_no text, dispatched_at timestamp with time zone, delivered_at timestamp with time zone)
language sql stable
as $$
    select x.id, x.status, x.courier, x.tracking_no, x.dispatched_at, x.delivered_at
    from raw_ops.orders y
    join raw_ops.shipments x on x.order_id = y.id
    where y.customer_id = customer
    order by coalesce(x.dispatched_at, x.created_at) desc, x.id limit 1
$$;

create function raw_ops.shipments_of_day(begins timestamp with time zone, ends timestamp with time zone) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'shipments_dispatched', count(*) filter (where s.dispatched_at >= begins and s.dispatched_at < ends),
        'shipments_delivered', count(*) filter (where s.delivered_at >= begins and s.delivered_at < ends),
        'units_dispatched', (select coalesce(sum(d.qty), 0) from raw_ops.stock_dispatches d
                             where d.dispatched_at >= begins and d.dispatched_at < ends))
    from raw_ops.shipments s
    where (s.dispatched_at >= begins and s.dispatched_at < ends) or (s.delivered_at >= begins and s.delivered_at < ends)
$$;

create function raw_ops.shopify_cancelled_lines(payload jsonb) returns TABLE(line_id text, units integer, sold integer)
language sql immutable parallel safe
as $$
    select r ->> 'line_item_id', sum((r ->> 'quantity')::integer)::integer, max((r -> 'line_item' ->> 'quantity')::integer)
    from jsonb_array_elements(raw_ops.shopify_list(payload, 'refund_line_items')) r
    where r ->> 'restock_type' = 'cancel' or (r ->> 'restock_type' = 'legacy_restock' and payload ->> 'restock' = 'true')
    group by 1
$$;

create function raw_ops.shopify_customer_id(payload jsonb, inbox_id uuid) returns uuid
language plpgsql
as $$
declare
    person jsonb := raw_ops.shopify_object(payload, 'customer');
    shopify_id text := raw_ops.shopify_text(person, 'id');
    mail citext := coalesce(raw_ops.shopify_text(person, 'email'), raw_ops.shopify_text(payload, 'email'),
                            raw_ops.shopify_text(payload, 'contact_email'));
    same_id raw_ops.customers;
    same_mail raw_ops.customers;
    made uuid;
begin
    if shopify_id is null and mail is null then
        return null;
    end if;
    select * into same_id from raw_ops.customers c where c.shopify_customer_id = shopify_id;
    select * into same_mail from raw_ops.customers c where c.email = mail;

    if same_id.id is not null then
        if same_mail.id is null then
            update raw_ops.customers c set email = mail
            where c.id = same_id.id and mail is not null
              and (c.updated_at_shopify is null or c.updated_at_shopify <= coalesce(raw_ops.shopify_text(payload, 'updated_at'),
                  raw_ops.shopify_text(payload, 'created_at'))::timestamptz);
        elsif same_mail.id <> same_id.id then
            perform raw_ops.log_customer_conflict(same_id.id, same_mail.id,
                'The e-mail address of this customer belongs to another one', inbox_id);
        end if;
        return same_id.id;
    end if;

    if same_mail.id is not null and (shopify_id is null or same_mail.shopify_customer_id is null) then
        update raw_ops.customers c set shopify_customer_id = shopify_id
        where c.id = same_mail.id and shopify_id is not null;
        return same_mail.id;
    end if;

    insert into raw_ops.customers (shopify_customer_id, email, marketing_opt_in, created_at)
    values (shopify_id, case when same_mail.id is null then mail end, raw_ops.shopify_marketing(person), engine.now())
    returning id into made;
    if same_mail.id is not null then
        perform raw_ops.log_customer_conflict(made, same_mail.id,
            'Two Shopify customers have one e-mail address; this one was kept without it', inbox_id);
    end if;
    return made;
exception when unique_violation then
    raise exception 'another transaction took this customer''s id or e-mail address: try again' using errcode = '40001';
end
$$;

create function raw_ops.shopify_fulfilled_qty(line jsonb) returns integer
language sql immutable parallel safe
as $$
    select case line ->> 'fulfillment_status'
        when 'fulfilled' then (line ->> 'quantity')::integer
        when 'partial' then greatest((line ->> 'quantity')::integer - coalesce((line ->> 'fulfillable_quantity')::integer, 0), 0)
        else 0
    end
$$;

create function raw_ops.shopify_fulfillments(shopify_order bigint, in_hand uuid) returns TABLE(inbox_id uuid, payload jsonb)
language sql stable
as $$
    select distinct on (i.raw_payload ->> 'id') i.id, i.raw_payload
    from raw_ops.webhook_inbox i
    where i.shopify_order_id = shopify_order and i.source = 'shopify' and i.topic in ('fulfillments/create', 'fulfillments/update')
      and (i.processing_status = 'success' or i.id = in_hand)
    order by i.raw_payload ->> 'id', coalesce(raw_ops.shopify_text(i.raw_payload, 'updated_at'),
        raw_ops.shopify_text(i.raw_payload, 'created_at'))::timestamptz desc nulls last, i.received_at desc
$$;

create function raw_ops.shopify_is_subscription(payload jsonb) returns boolean
language sql stable
as $$
    select exists (
        select from raw_ops.system_config c
        where (c.key = 'orders.subscription_source_prefix' and c.value <> ''
               and starts_with(coalesce(payload ->> 'source_name', ''), c.value))
           or (c.key = 'orders.subscription_tags' and exists (
               select from unnest(raw_ops.shopify_tags(payload)) t
               where lower(t) = any (string_to_array(lower(c.value), ','))))
    )
$$;

create function raw_ops.shopify_item_changes(payload jsonb, saved_order uuid) returns text
language sql stable
as $$
    select left(string_agg(
        format('%s is %s and was %s', coalesce(i.sku, raw_ops.shopify_text(l.line, 'sku'), i.product_name, raw_ops.shopify_text(l.line, 'title'),
            'line ' || coalesce(l.line_id, i.shopify_line_item_id)), coalesce(l.qty, 0), coalesce(i.qty, 0)),
        ', ' order by coalesce(l.line_id, i.shopify_line_item_id)), 500)
    from raw_ops.shopify_lines_left(payload) l
    full join (select * from raw_ops.order_items
               where order_id = saved_order and shopify_line_item_id is not null) i
        on i.shopify_line_item_id = l.line_id
    where i.qty is distinct from l.qty
$$;

create function raw_ops.shopify_line_net(line jsonb) returns numeric
language sql immutable parallel safe
as $$
    select (line ->> 'price')::numeric * (line ->> 'quantity')::integer - greatest(
        (select coalesce(sum((d ->> 'amount')::numeric), 0)
         from jsonb_array_elements(raw_ops.shopify_list(line, 'discount_allocations')) d),
        coalesce((line ->> 'total_discount')::numeric, 0)
    )
$$;

create function raw_ops.shopify_line_vat_rate(line jsonb, payload jsonb) returns numeric
language sql immutable parallel safe
as $$
    select case
        when line ->> 'taxable' = 'false' or line ->> 'gift_card' = 'true' then 0
        when raw_ops.shopify_list(line, 'tax_lines') <> '[]' then (
            select coalesce(sum((t ->> 'rate')::numeric), 0)
            from jsonb_array_elements(raw_ops.shopify_list(line, 'tax_lines')) t
            where (t ->> 'price')::numeric > 0 or raw_ops.shopify_line_net(line) = 0
        )
        when raw_ops.shopify_names_tax(payload) then 0
        else raw_ops.vat_standard_rate()
    end
$$;

create function raw_ops.shopify_lines_left(payload jsonb, ended boolean DEFAULT false) returns TABLE(line jsonb, line_id text, qty integer, fulfilled integer)
language sql stable
as $$
    select l.line, l.line_id, n.qty, l.fulfilled
    from raw_ops.shopify_live_lines(payload, ended) l
    cross join lateral (
        select case when ended then l.qty else greatest(l.fulfilled, least(l.qty, (l.line ->> 'quantity')::integer
            - raw_ops.cancelled_units((payload ->> 'id')::bigint, l.line_id, null))) end as qty
    ) n
    where n.qty > 0
$$;
comment on function raw_ops.shopify_lines_left(jsonb,boolean) is 'The lines of an order document without the units that refunds cancelled, whichever came first; all of them once the order has ended.';

create function raw_ops.shopify_list(doc jsonb, field text) returns jsonb
language sql immutable parallel safe
as $$ select case when jsonb_typeof(doc -> field) = 'array' then doc -> field else '[]' end $$;

create function raw_ops.shopify_live_lines(payload jsonb, ended boolean) returns TABLE(line jsonb, line_id text, qty integer, fulfilled integer)
language sql immutable parallel safe
as $$
    select l.line, l.line ->> 'id', l.qty, l.fulfilled
    from (
        select e as line, f as fulfilled, case when ended then (e ->> 'quantity')::integer else
            greatest(coalesce((e ->> 'current_quantity')::integer, (e ->> 'quantity')::integer), f) end as qty
        from jsonb_array_elements(raw_ops.shopify_list(payload, 'line_items')) e,
            raw_ops.shopify_fulfilled_qty(e) f
    ) l
    where l.qty > 0
$$;

create function raw_ops.shopify_marketing(person jsonb) returns boolean
language sql immutable parallel safe
as $$
    select coalesce(
        (person -> 'email_marketing_consent' ->> 'state') = 'subscribed',
        (person ->> 'accepts_marketing')::boolean
    )
$$;

create function raw_ops.shopify_named_value(pairs jsonb, wanted text) returns text
language sql immutable parallel safe
as $$
    select nullif(btrim(p.value), '')
    from (
        select e ->> 'name' as name, e ->> 'value' as value
        from jsonb_array_elements(case when jsonb_typeof(pairs) = 'array' then pairs else '[]' end) e
        where jsonb_typeof(e) = 'object'
        union all
        select key, value
        from jsonb_each_text(case when jsonb_typeof(pairs) = 'object' then pairs else '{}' end)
    ) p
    where trim(leading '_' from regexp_replace(lower(p.name), '[^a-z0-9]+', '_', 'g')) = wanted
    limit 1
$$;

create function raw_ops.shopify_names_tax(payload jsonb) returns boolean
language sql immutable parallel safe
as $$
    select raw_ops.shopify_text(payload, 'total_tax') is not null
        or raw_ops.shopify_list(payload, 'tax_lines') <> '[]'
        or exists (
            select from jsonb_array_elements(raw_ops.shopify_list(payload, 'line_items')) l
            where raw_ops.shopify_list(l, 'tax_lines') <> '[]'
        )
$$;

create function raw_ops.shopify_notes(payload jsonb) returns jsonb
language sql immutable parallel safe
as $$
    select jsonb_object_agg(key, value)
    from jsonb_each(payload)
    where value <> 'null' and key in (
        'note', 'note_attributes', 'test', 'source_name', 'financial_status', 'cancelled_at', 'cancel_reason',
        'total_discounts', 'presentment_currency')
$$;

create function raw_ops.shopify_object(doc jsonb, field text) returns jsonb
language sql immutable parallel safe
as $$ select case when jsonb_typeof(doc -> field) = 'object' then doc -> field end $$;

create function raw_ops.shopify_order_money(payload jsonb, OUT subtotal_ex_vat numeric, OUT vat numeric, OUT total_inc_vat numeric, OUT discount numeric) returns record
language plpgsql immutable parallel safe
as $$
declare
    lines jsonb := raw_ops.shopify_list(payload, 'line_items');
    shipping jsonb := raw_ops.shopify_list(payload, 'shipping_lines');
    included boolean := coalesce((payload ->> 'taxes_included')::boolean, false);
    inside numeric := raw_ops.vat_standard_rate() / (1 + raw_ops.vat_standard_rate());
    shipping_vat numeric;
begin
    select coalesce(sum(raw_ops.shopify_tax(raw_ops.shopify_list(s, 'tax_lines'))), 0) into shipping_vat
    from jsonb_array_elements(shipping) s;

    if raw_ops.shopify_text(payload, 'total_tax') is not null then
        vat := (payload ->> 'total_tax')::numeric;
    elsif raw_ops.shopify_list(payload, 'tax_lines') <> '[]' then
        vat := raw_ops.shopify_tax(payload -> 'tax_lines');
    elsif included and not raw_ops.shopify_names_tax(payload) then
        select round(coalesce(sum(coalesce((s ->> 'discounted_price')::numeric, (s ->> 'price')::numeric)), 0) * inside, 2)
        into shipping_vat from jsonb_array_elements(shipping) s;
        select shipping_vat + round(coalesce(sum(raw_ops.shopify_line_net(l)), 0) * inside, 2) into vat
        from jsonb_array_elements(lines) l where raw_ops.shopify_line_vat_rate(l, payload) > 0;
    else
        select shipping_vat + coalesce(sum(raw_ops.shopify_tax(raw_ops.shopify_list(l, 'tax_lines'))), 0) into vat
        from jsonb_array_elements(lines) l;
    end if;

    total_inc_vat := (payload ->> 'total_price')::numeric;
    discount := (payload ->> 'total_discounts')::numeric;
    subtotal_ex_vat := (payload ->> 'subtotal_price')::numeric - case when included then vat - shipping_vat else 0 end;
end
$$;

create function raw_ops.shopify_order_status(payload jsonb) returns raw_ops.order_status
language sql immutable parallel safe
as $$
    select case
        when raw_ops.shopify_text(payload, 'cancelled_at') is not null then 'CANCELLED'
        when payload ->> 'financial_status' = 'voided' then 'CANCELLED'
        when payload ->> 'financial_status' = 'refunded' then 'REFUNDED'
        when payload ->> 'financial_status' = 'paid' then 'PAID'
        else 'PENDING'
    end::raw_ops.order_status
$$;

create function raw_ops.shopify_parcel_status(word text) returns raw_ops.shipment_status
language sql immutable parallel safe
as $$
    select case word
        when 'in_transit' then 'IN_TRANSIT' when 'out_for_delivery' then 'OUT_FOR_DELIVERY' when 'delivered' then 'DELIVERED'
        when 'attempted_delivery' then 'EXCEPTION' when 'failure' then 'EXCEPTION' when 'delayed' then 'EXCEPTION'
    end::raw_ops.shipment_status
$$;

create function raw_ops.shopify_ship_to(payload jsonb) returns TABLE(name text, phone text, address1 text, address2 text, city text, postcode text, country text)
language sql immutable parallel safe
as $$
    select
        coalesce(raw_ops.shopify_text(a, 'name'), nullif(concat_ws(' ',
            raw_ops.shopify_text(a, 'first_name'), raw_ops.shopify_text(a, 'last_name')), '')),
        raw_ops.shopify_text(a, 'phone'), raw_ops.shopify_text(a, 'address1'), raw_ops.shopify_text(a, 'address2'),
        raw_ops.shopify_text(a, 'city'), raw_ops.shopify_text(a, 'zip'),
        coalesce(raw_ops.shopify_text(a, 'country_code'), raw_ops.shopify_text(a, 'country'))
    from (select raw_ops.shopify_object(payload, 'shipping_address') as a) s
    where a is not null
$$;

create function raw_ops.shopify_tags(payload jsonb) returns text[]
language sql immutable parallel safe
as $$
    select array_agg(btrim(t)) filter (where btrim(t) <> '')
    from unnest(string_to_array(payload ->> 'tags', ',')) t
$$;

create function raw_ops.shopify_tax(tax_lines jsonb) returns numeric
language sql immutable parallel safe
as $$ select coalesce(sum((t ->> 'price')::numeric), 0) from jsonb_array_elements(tax_lines) t $$;

create function raw_ops.shopify_text(doc jsonb, field text) returns text
language sql immutable parallel safe
as $$ select nullif(btrim(doc ->> field), '') $$;

create function raw_ops.shopify_unit_price_ex_vat(line jsonb, payload jsonb) returns numeric
language sql immutable parallel safe
as $$
    select case when payload ->> 'taxes_included' = 'true'
        then round((line ->> 'price')::numeric / (1 + raw_ops.shopify_line_vat_rate(line, payload)), 2)
        else (line ->> 'price')::numeric
    end
$$;

create function raw_ops.shopify_utm(payload jsonb) returns jsonb
language sql immutable parallel safe
as $$
    select coalesce(
        (select jsonb_object_agg(lower(e ->> 'name'), e ->> 'value')
         from jsonb_array_elements(raw_ops.shopify_list(payload, 'note_attributes')) e
         where e ->> 'name' ilike 'utm\_%'),
        (select jsonb_object_agg(lower(m[1]), m[2])
         from regexp_matches(payload ->> 'landing_site', '[?&](utm_[a-z_]+)=([^&#]*)', 'gi') m)
    )
$$;

create function raw_ops.shopify_wants_more(payload jsonb, saved_order uuid) returns boolean
language sql stable
as $$
    select exists (
        select from raw_ops.shopify_lines_left(payload) l
        left join raw_ops.order_items i on i.order_id = saved_order and i.shopify_line_item_id = l.line_id
        where l.qty > coalesce(i.qty, 0)
    )
$$;

create function raw_ops.shrink_refunded_lines(payload jsonb, refunded raw_ops.orders, inbox_id uuid) returns integer
language plpgsql
as $$
declare
    line record;
    freed integer := 0;
begin
    for line in
        select i.id, i.qty, n.sent, greatest(n.sent, least(i.qty, coalesce(c.sold, i.qty)
            - raw_ops.cancelled_units(refunded.shopify_order_id::bigint, c.line_id, inbox_id))) as left_over
        from raw_ops.shopify_cancelled_lines(payload) c
        join raw_ops.order_items i on i.shopify_line_item_id = c.line_id and i.order_id = refunded.id
        cross join lateral (
            select greatest(i.fulfilled_qty, coalesce(sum(a.qty_allocated), 0))::integer as sent
            from raw_ops.allocations a join raw_ops.stock_dispatches d on d.allocation_id = a.id
            where a.order_item_id = i.id
        ) n
        order by i.id
    loop
        continue when line.left_over >= line.qty;
        freed := freed + raw_ops.free_line(line.id, refunded.id, line.left_over - line.sent);
        if line.left_over > 0 then
            update raw_ops.order_items i set qty = line.left_over, quantity = line.left_over where i.id = line.id;
        else
            delete from raw_ops.order_items i where i.id = line.id;
        end if;
    end loop;
    if not exists (select from raw_ops.order_items i where i.order_id = refunded.id) then
        update raw_ops.allocation_queue q set state = 'cancelled', completed_at = engine.now(), last_error = 'a refund left nothing to send'
        where q.order_id = refunded.id and q.state = 'pending';
    -- What is left may be complete now: the allocator looks, and says so.
    elsif refunded.status in ('PAID', 'PARTIALLY_ALLOCATED') then
        perform raw_ops.enqueue_allocation(refunded.id)
        where exists (select from raw_ops.allocation_queue q where q.order_id = refunded.id and q.state = 'pending');
    end if;
    return freed;
end
$$;

create function raw_ops.stock_drift() returns TABLE(figure text, subject text, expected numeric, found numeric)
language sql stable
as $$
    select 'units reserved of a batch', b.batch_code, coalesce(a.units, 0), coalesce(b.qty_reserved, 0)
    from raw_ops.batches b
    left join (
        select a.batch_id, sum(a.qty_allocated) as units from raw_ops.allocations a
        where not exists (select from raw_ops.stock_dispatches d where d.allocation_id = a.id)
        group by a.batch_id
    ) a on a.batch_id = b.id
    where coalesce(b.qty_reserved, 0) <> coalesce(a.units, 0)
    union all
    select 'units held of a batch', b.batch_code, coalesce(h.units, 0), coalesce(b.qty_soft_reserved, 0)
    from raw_ops.batches b
    left join (select h.batch_id, sum(h.units) as units from raw_ops.soft_reservations h group by h.batch_id) h on h.batch_id = b.id
    where coalesce(b.qty_soft_reserved, 0) <> coalesce(h.units, 0)
    union all
    select 'kilograms of a batch', r.batch_code, r.kg_expected, r.kg_recorded
    from raw_ops.get_current_inventory_for_reconciliation() r
    where abs(r.kg_recorded - r.kg_expected) > 0.001
    union all
    select 'units on hand of a product', p.sku, s.units, coalesce(h.qty_available, 0)
    from raw_ops.products p
    cross join lateral (
        select coalesce(floor(sum(b.qty_on_hand)), 0) as units from raw_ops.batches b where b.product_id = p.id and b.status = 'RELEASED'
    ) s
    left join raw_ops.inventory_on_hand h on h.sku = p.sku
    where coalesce(h.qty_available, 0) <> s.units
$$;
comment on function raw_ops.stock_drift() is 'Figures that are derived from the units of batches and do not agree with them.';

create function raw_ops.stop_order(stopped_order uuid, who text) returns text
language plpgsql
as $$
declare
    stopped raw_ops.orders;
    export raw_ops.export_outbox;
    name text;
    ended_as raw_ops.order_status;
begin
    select coalesce(o.external_order_ref, o.order_number_label, o.id::text) into name from raw_ops.orders o where o.id = stopped_order;
    perform pg_advisory_xact_lock(hashtextextended('raw_ops.dispatch ' || name, 0));
    select * into export from raw_ops.export_outbox e where stopped_order = any (e.order_ids) order by e.created_at desc, e.id limit 1 for update;
    perform from raw_ops.shipments s where s.order_id = stopped_order order by s.id for update;
    select * into stopped from raw_ops.orders o where o.id = stopped_order for no key update;
    if stopped.export_state = 'stopped' then
        return 'known';
    elsif exists (select from raw_ops.shipments s where s.order_id = stopped_order) then
        raise exception 'order % has left as a parcel, so it was not stopped', name using errcode = '22023';
    elsif stopped.status = 'EXPORTED' and stopped.export_state = 'queued' then
        raise exception 'order % is in a file of which it is not known yet whether the packer has it', name using errcode = 'RW060';
    elsif not (stopped.status = 'EXPORTED' and stopped.export_state in ('exported', 'acked')
               or stopped.status = 'ALLOCATED' and stopped.export_state = 'ended') then
        raise exception 'order % is %, its export %: the packer does not have it', name, stopped.status, coalesce(stopped.export_state, 'not made')
            using errcode = '22023';
    elsif not raw_ops.is_ended_at_shopify(stopped) then
        raise exception 'order % was not sent, and Shopify has not ended it: cancel it there first, or have it packed again', name
            using errcode = 'RW060';
    end if;
    update raw_ops.export_outbox e set stopped_order_ids = e.stopped_order_ids || stopped_order where e.id = export.id;
    -- As the webhook would have ended it: what is not cancelled or voided was refunded.
    ended_as := case raw_ops.shopify_order_status(coalesce(stopped.notes_json, '{}')) when 'CANCELLED' then 'CANCELLED' else 'REFUNDED' end;
    update raw_ops.orders o set status = ended_as, export_state = 'stopped' where o.id = stopped_order;
    perform raw_ops.request_allocation(stopped_order, ended_as);
    update raw_ops.exceptions_queue x set resolved = true, resolved_at = engine.now(), resolved_by = who
    where x.order_id = stopped_order and not x.resolved
      and x.issue_type in ('order_ended_late', 'export_ended', 'order_changed_late', 'address_changed_late');
    perform raw_ops.log_event('ORDER', stopped_order, 'order_stopped',
        format('The packer did not send order %s, which Shopify has ended, says %s', name, who),
        jsonb_build_object('by', who, 'export_id', export.id, 'status_before', stopped.status), null, export.id);
    return 'stopped';
end
$$;

create function raw_ops.store_courier_event(payload text, headers text, body bytea, digest bytea, unfit text) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into raw_ops.webhook_inbox
        (source, topic, webhook_id, raw_headers, raw_payload, raw_body, body_sha256, last_error, hmac_verified, received_at, created_at, updated_at)
    values ('courier', 'tracking/event', 'sha256:' || encode(digest, 'hex'), headers::jsonb, payload::jsonb, body, digest, unfit, true,
            engine.now(), engine.now(), engine.now())
    on conflict (source, shop, webhook_id) do nothing;
    if not found then
        perform engine.await_standby();
        return 'duplicate';
    end if;
    return 'enqueued';
end
$$;

create function raw_ops.store_dispatch_file(headers text, body bytea, digest bytea) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into raw_ops.webhook_inbox
        (source, topic, webhook_id, raw_headers, raw_payload, raw_body, body_sha256, hmac_verified, received_at, created_at, updated_at)
    values ('packer', 'dispatch/file', 'sha256:' || encode(digest, 'hex'), headers::jsonb, 'null', body, digest, true,
            engine.now(), engine.now(), engine.now())
    on conflict (source, shop, webhook_id) do nothing;
    if not found then
        perform engine.await_standby();
        return 'duplicate';
    end if;
    return 'enqueued';
end
$$;

create function raw_ops.store_missed_order(shop text, document text) returns integer
language plpgsql
as $$
declare
    missed jsonb;
    made integer;
begin
    missed := document::jsonb;
    insert into raw_ops.webhook_inbox
        (source, shop, topic, webhook_id, raw_headers, raw_payload, shopify_order_id, shopify_order_number, received_at, created_at, updated_at)
    select 'shopify', store_missed_order.shop, d.topic,
        concat_ws(':', 'reconciled', d.topic, d.payload ->> 'id', coalesce(d.payload ->> 'updated_at', d.payload ->> 'created_at')),
        '{"reconciled": true}', d.payload, (missed ->> 'id')::bigint, missed ->> 'order_number', engine.now(), engine.now(), engine.now()
    from (
        select 'orders/updated', missed
        union all select 'refunds/create', r from jsonb_array_elements(raw_ops.shopify_list(missed, 'refunds')) r
        union all select 'fulfillments/update', f from jsonb_array_elements(raw_ops.shopify_list(missed, 'fulfillments')) f
    ) d (topic, payload)
    on conflict on constraint webhook_inbox_delivery_key do nothing;
    get diagnostics made = row_count;
    return made;
exception when data_exception or integrity_constraint_violation then
    perform raw_ops.log_event('WEBHOOK', gen_random_uuid(), 'ORDER_NOT_RECONCILED', 'An order of Shopify cannot be kept: ' || sqlerrm,
        jsonb_build_object('document', left(document, 200)), 'shopify', null);
    return null;
end
$$;

create function raw_ops.store_seal_webhook(topic text, subscription text, payload text, headers text, body bytea, idempotency_key text, is_read boolean, unfit text) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    made uuid;
begin
    insert into raw_ops.seal_webhook_inbox as s
        (webhook_topic, seal_subscription_id, payload, headers, raw_body, idempotency_key, hmac_valid, processing_status, last_error, received_at, created_at)
    values (topic, subscription, store_seal_webhook.payload::jsonb, store_seal_webhook.headers::jsonb, body, store_seal_webhook.idempotency_key,
            true, case when is_read then 'pending' else 'ignored' end, unfit, engine.now(), engine.now())
    on conflict on constraint seal_webhook_inbox_idempotency_key_key do nothing
    returning s.id into made;
    if made is null then
        perform engine.await_standby();
        return 'duplicate';
    elsif not is_read then
        perform raw_ops.note_unknown_topic(made, 'Seal', topic);
        return 'unknown_topic';
    end if;
    return 'enqueued';
end
$$;

create function raw_ops.store_shopify_webhooks(ids uuid[], shops text[], topics text[], webhook_ids text[], event_ids text[], triggered timestamp with time zone[], headers text[], payloads text[], bodies bytea[], digests bytea[], order_ids bigint[], order_numbers text[], are_orders boolean[], unfit text[]) returns TABLE(id uuid, replay_of uuid)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    stored record;
begin
    for stored in
        insert into raw_ops.webhook_inbox as w (
            source, received_at, id, shop, topic, webhook_id, event_id, triggered_at, raw_headers, raw_payload, raw_body, body_sha256,
            shopify_order_id, shopify_order_number, last_error, hmac_verified, replay_of, processing_status
        )
        select
            'shopify', (select engine.now()), d.id, d.shop, d.topic, d.webhook_id, d.event_id, d.triggered_at, d.headers::jsonb,
            d.payload::jsonb, d.body, d.body_sha256, d.order_id, d.order_number, d.unfit, true, seen.id,
            case when seen.id is not null then 'suspected_replay' when d.is_read then 'pending' else 'ignored' end
        from unnest(ids, shops, topics, webhook_ids, event_ids, triggered, headers, payloads, bodies, digests, order_ids,
            order_numbers, are_orders, store_shopify_webhooks.unfit
        ) d (
            id, shop, topic, webhook_id, event_id, triggered_at, headers, payload, body, body_sha256, order_id, order_number, is_read, unfit
        )
        left join lateral (
            select i.id
            from raw_ops.webhook_inbox i
            where i.source = 'shopify' and i.shop = d.shop and i.topic = d.topic and i.body_sha256 = d.body_sha256
            order by i.received_at
            limit 1
        ) seen on true
        on conflict (source, shop, webhook_id) do nothing
        returning w.id, w.topic, w.replay_of, w.processing_status
    loop
        if stored.processing_status = 'ignored' then
            perform raw_ops.note_unknown_topic(stored.id, 'Shopify', stored.topic);
        end if;
        id := stored.id;
        replay_of := stored.replay_of;
        return next;
    end loop;
    if not found then
        perform engine.await_standby();
    end if;
end
$$;
comment on function raw_ops.store_shopify_webhooks(uuid[],text[],text[],text[],text[],timestamp with time zone[],text[],text[],bytea[],bytea[],bigint[],text[],boolean[],text[]) is 'Stores verified deliveries of Shopify.';

create function raw_ops.store_temperature_log(about text, headers text, body bytea, digest bytea) returns TABLE(inbox_id uuid, outcome text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    key text := 'sha256:' || encode(digest, 'hex');
begin
    insert into raw_ops.webhook_inbox as w
        (source, topic, webhook_id, raw_headers, raw_payload, raw_body, body_sha256, hmac_verified, received_at, created_at, updated_at)
    values ('logger', 'temperature/log', key, headers::jsonb, about::jsonb, body, digest, true, engine.now(), engine.now(), engine.now())
    on conflict (source, shop, webhook_id) do nothing
    returning w.id into inbox_id;
    outcome := case when inbox_id is null then 'duplicate' else 'enqueued' end;
    if inbox_id is null then
        select w.id into inbox_id from raw_ops.webhook_inbox w where w.source = 'logger' and w.shop = '' and w.webhook_id = key;
        perform engine.await_standby();
    end if;
    return next;
end
$$;

create function raw_ops.store_untold_parts(since timestamp with time zone, until timestamp with time zone) returns integer
language plpgsql
as $$
declare
    orders integer;
begin
    with made as (
        insert into raw_ops.webhook_inbox
            (source, shop, topic, webhook_id, raw_headers, raw_payload, shopify_order_id, shopify_order_number, received_at, created_at,
             updated_at)
        select distinct on (d.topic, d.payload ->> 'id') 'shopify', i.shop, d.topic,
            concat_ws(':', 'reconciled', d.topic, d.payload ->> 'id', coalesce(d.payload ->> 'updated_at', d.payload ->> 'created_at')),
            '{"reconciled": true}', jsonb_build_object('order_id', i.shopify_order_id) || d.payload, i.shopify_order_id,
            i.shopify_order_number, engine.now(), engine.now(), engine.now()
        from raw_ops.webhook_inbox i
        cross join lateral (
            select 'refunds/create', r from jsonb_array_elements(raw_ops.shopify_list(i.raw_payload, 'refunds')) r
            union all select 'fulfillments/update', f from jsonb_array_elements(raw_ops.shopify_list(i.raw_payload, 'fulfillments')) f
        ) d (topic, payload)
        where i.processing_status = 'success' and i.processed_at > since and i.processed_at <= until
          and i.source = 'shopify' and i.topic like 'orders/%' and i.shopify_order_id is not null and d.payload ->> 'id' is not null
          and not exists (
              select from raw_ops.webhook_inbox k
              where k.shopify_order_id = i.shopify_order_id and k.source = 'shopify'
                and split_part(k.topic, '/', 1) = split_part(d.topic, '/', 1) and k.raw_payload ->> 'id' = d.payload ->> 'id')
          -- One that has not been processed does not say yet whose it is.
          and not exists (
              select from raw_ops.webhook_inbox k
              where k.processing_status in ('pending', 'processing', 'retrying', 'failed') and k.source = 'shopify'
                and split_part(k.topic, '/', 1) = split_part(d.topic, '/', 1) and k.raw_payload ->> 'id' = d.payload ->> 'id')
        order by d.topic, d.payload ->> 'id', i.received_at desc
        on conflict on constraint webhook_inbox_delivery_key do nothing
        returning shopify_order_id
    )
    select count(distinct shopify_order_id) into orders from made;
    return orders;
exception when data_exception or integrity_constraint_violation then
    perform raw_ops.log_event('WEBHOOK', gen_random_uuid(), 'ORDER_NOT_RECONCILED', 'What orders of Shopify list cannot be kept: ' || sqlerrm,
        jsonb_build_object('since', since, 'until', until), 'shopify', null);
    return 0;
end
$$;
comment on function raw_ops.store_untold_parts(timestamp with time zone,timestamp with time zone) is 'Lays refunds and fulfilments into the inbox that order documents processed in a span list and no webhook told of; of how many orders.';

create function raw_ops.subscription_figures(customer uuid) returns TABLE(active_subscriptions bigint, subscription_id uuid, subscription_status text, box_size text, frequency_weeks integer, next_billing_date date, payment_status text)
language sql stable
as $$
    select u.active, s.id, s.status, s.box_size, s.frequency_weeks, s.next_billing_date, s.payment_status
    from (
        select count(*) as active from raw_ops.subscriptions x where x.customer_id = customer and x.status = 'active'
    ) u
    left join (
        select x.id, x.status, x.box_size, x.frequency_weeks, x.next_billing_date, x.payment_status
        from raw_ops.subscriptions x where x.customer_id = customer
        order by array_position(array['active', 'paused'], x.status), x.created_at desc, x.id limit 1
    ) s on true
$$;

create function raw_ops.sweep_address_changes(max_rows integer DEFAULT 500, OUT started integer, OUT refused integer) returns record
language plpgsql
as $$
declare
    late timestamptz := engine.now() - interval '5 minutes';
    lost record;
    words text;
begin
    started := 0;
    refused := 0;
    for lost in
        select d.id, d.target
        from (
            select a.id, a.number, t.target
            from raw_ops.address_changes a cross join (values ('shopify'), ('seal')) t (target)
            where (a.shopify_state in ('pending', 'telling') or a.seal_state in ('pending', 'telling'))
              and raw_ops.is_address_forgotten(a, t.target, late)
            -- Drawn by lot: rows that are refused each time never fill every sweep.
            order by random()
            limit max_rows
        ) d
        order by d.number, d.target
    loop
        begin
            -- A statement of its own: what the holder before has written is seen after it.
            perform from raw_ops.address_changes a where a.id = lost.id for update skip locked;
            continue when not found;
            perform raw_ops.set_address_state(a.id, lost.target, 'pending',
                case lost.target when 'shopify' then a.shopify_error else a.seal_error end)
            from raw_ops.address_changes a
            where a.id = lost.id and raw_ops.is_address_forgotten(a, lost.target, late);
            if found then
                started := started + 1;
            end if;
        exception when others then
            refused := refused + 1;
            words := sqlerrm;
            raise warning 'the change of address % cannot be dealt with: %', lost.id, words;
        end;
    end loop;
    if refused > 0 then
        perform raw_ops.raise_alert('warning', 'Changes of address cannot be told', format(
            '%s changes of address wait without a job and cannot be given one: %s', refused, words),
            key => 'address changes refused', source_check => 'addresses');
    end if;
end
$$;

create function raw_ops.sweep_messages(max_rows integer DEFAULT 500) returns TABLE(started integer, parked integer, refused integer)
language plpgsql
as $$
declare
    late record;
begin
    started := 0;
    parked := 0;
    refused := 0;
    for late in select l.id, l.state, l.place from (
        select o.id, o.state, 'outbox' as place from raw_ops.outbox o
        where o.state in ('pending', 'sending') and o.updated_at < (select engine.now()) - interval '1 minute'
          and not exists (select from engine.unique_key u where u.kind = 'outbox.deliver_message' and u.key = o.id::text)
        union all
        select e.id, e.status, 'lifecycle_events' from raw_ops.lifecycle_events e
        where e.status = 'pending' and e.scheduled_for < (select engine.now()) - interval '1 minute'
          and not exists (select from engine.unique_key u where u.kind = 'lifecycle.track_event' and u.key = e.id::text)) l
        -- Drawn by lot: rows that are refused each time never fill every sweep.
        order by random()
        limit max_rows
    loop
        begin
            if late.place = 'lifecycle_events' then
                update raw_ops.lifecycle_events e set status = 'pending' where e.id = late.id and e.status = 'pending';
                started := started + 1;
            elsif late.state = 'pending' then
                update raw_ops.outbox o set state = 'pending', updated_at = engine.now() where o.id = late.id and o.state = 'pending';
                started := started + 1;
            else
                perform raw_ops.settle_message(late.id, 'unknown', null, 'its job has gone while it was on its way');
                parked := parked + 1;
            end if;
        exception when others then
            refused := refused + 1;
            raise warning 'the row % of % cannot be dealt with: %', late.id, late.place, sqlerrm;
        end;
    end loop;
    return next;
end
$$;

create function raw_ops.sync_address_change(change_id uuid, customer uuid) returns TABLE(id uuid, customer_id uuid, shopify text, seal text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    change raw_ops.address_changes;
    late timestamptz := engine.now() - interval '5 minutes';
begin
    for change in
        select a.* from raw_ops.address_changes a
        where a.id = $1 or (a.customer_id = $2 and (a.shopify_state in ('pending', 'telling', 'failed') or a.seal_state in ('pending', 'telling', 'failed')))
        order by a.number for update
    loop
        if change.shopify_state in ('pending', 'failed') or (change.shopify_state = 'telling' and change.shopify_begun_at < late) then
            perform raw_ops.set_address_state(change.id, 'shopify', 'pending', change.shopify_error);
        end if;
        if change.seal_state in ('pending', 'failed') or (change.seal_state = 'telling' and change.seal_begun_at < late) then
            perform raw_ops.set_address_state(change.id, 'seal', 'pending', change.seal_error);
        end if;
        return query select a.id, a.customer_id, a.shopify_state, a.seal_state from raw_ops.address_changes a where a.id = change.id;
    end loop;
end
$$;

create function raw_ops.take_delivery_report(report_id text, metric text, reported_at timestamp with time zone, delivery text, mail_id uuid, trigger_event text, person text, is_transactional boolean, reason text) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    found_id uuid;
begin
    if not is_transactional then
        update raw_ops.lifecycle_events e set customerio_delivery_id = delivery
        where e.customerio_event_id = trigger_event and e.customerio_delivery_id is null;
        if not found then
            perform engine.await_standby();
        end if;
        return 'campaign';
    end if;
    insert into raw_ops.delivery_reports (event_id, delivery_id, metric, reported_at, received_at, recipient, reason)
    values (report_id, delivery, metric, reported_at, engine.now(), lower(person), left(reason, 500))
    on conflict do nothing;
    if not found then
        perform engine.await_standby();
        return 'duplicate';
    end if;
    select o.id into found_id from raw_ops.outbox o where o.id = mail_id;
    if found_id is null then
        select o.id into found_id from raw_ops.outbox o where o.delivery_id = delivery;
    end if;
    if found_id is null and metric not in ('drafted', 'attempted') then
        found_id := raw_ops.mail_of_report(person, reported_at);
    end if;
    if found_id is null then
        return 'unmatched';
    end if;
    update raw_ops.delivery_reports r set outbox_id = found_id, recipient = null where r.event_id = report_id;
    perform raw_ops.apply_report(found_id, delivery, metric, left(reason, 500));
    return 'matched';
end
$$;

create function raw_ops.tell_of_breach(parcel raw_ops.shipments, logger text, details text) returns void
language plpgsql
as $$
begin
    if exists (select from raw_ops.exceptions_queue e where e.shipment_id = parcel.id and not e.resolved and e.issue_type = 'temperature_breach') then
        return;
    end if;
    insert into raw_ops.exceptions_queue (order_id, shipment_id, issue_type, issue_description, raw_data, created_at)
    values (parcel.order_id, parcel.id, 'temperature_breach', details,
            jsonb_strip_nulls(jsonb_build_object('logger_id', logger, 'tracking_no', parcel.tracking_no)), engine.now());
    perform from raw_ops.raise_alert('critical', 'A parcel was too warm',
        format('Parcel %s was %s. Its case is in exceptions_queue: ask the customer before the food is fed.', parcel.tracking_no, details),
        jsonb_build_array(jsonb_build_object('label', 'Parcel', 'value', coalesce(parcel.tracking_no, parcel.id::text), 'inline', true),
            jsonb_build_object('label', 'Logger', 'value', logger, 'inline', true)),
        key => format('cold chain %s', parcel.id), source_check => 'couriers');
end
$$;

create function raw_ops.tell_of_changed_lines(changed_order uuid, label text, status raw_ops.order_status, differs text, inbox_id uuid) returns void
language plpgsql
as $$
declare
    words text := format('Shopify changed the lines of order %s when it was %s already, and they were left as they are: %s. %s',
        label, status, differs, case status when 'EXPORTED' then 'Tell the packer, or stop it' else 'Mend it before it goes to the packer' end);
    agreed_at timestamptz := raw_ops.lines_agreed_at(changed_order);
begin
    -- Events know of each telling, whatever became of its case.
    if not exists (select from raw_ops.ops_events e
                   where e.entity_id = changed_order and e.kind = 'order_changed_late' and e.message = words and e.created_at > agreed_at) then
        perform raw_ops.tell_of_late_change(changed_order, 'order_changed_late', words, inbox_id);
    end if;
end
$$;

create function raw_ops.tell_of_late_change(late_order uuid, kind text, message text, inbox_id uuid) returns void
language plpgsql
as $$
declare
    told uuid;
    is_there boolean := (select o.status not in ('PARTIALLY_ALLOCATED', 'ALLOCATED') from raw_ops.orders o where o.id = late_order);
begin
    perform raw_ops.log_event('ORDER', late_order, kind, message, null, 'shopify', inbox_id);
    select x.id into told from raw_ops.exceptions_queue x
    where x.order_id = late_order and x.issue_type = kind and not x.resolved order by x.created_at, x.id limit 1 for update;
    if told is not null then
        update raw_ops.exceptions_queue x set issue_description = message where x.id = told;
    else
        insert into raw_ops.exceptions_queue as x (order_id, issue_type, issue_description, created_at)
        values (late_order, kind, message, engine.now())
        returning x.id into told;
    end if;
    perform from raw_ops.raise_alert(case when is_there then 'critical' else 'warning' end,
        case when is_there then 'An order changed when the packer had it' else 'An order changed when it had its stock' end, message,
        key => format('%s %s%s', kind, told, case when is_there then '' else ' early' end), source_check => 'webhooks');
end
$$;

create function raw_ops.tell_of_late_end(ended_order uuid, message text, inbox_id uuid) returns void
language plpgsql
as $$
begin
    if not raw_ops.has_ended_late(ended_order) then
        perform raw_ops.tell_of_late_change(ended_order, 'order_ended_late', message, inbox_id);
    end if;
end
$$;

create function raw_ops.threshold(wanted text) returns numeric
language plpgsql stable
as $$
declare
    number numeric;
begin
    select c.value_numeric into number from raw_ops.config c where c.key = wanted;
    if number is null then
        raise exception 'the setting % has no number: set value_numeric of its row in raw_ops.config', wanted
            using errcode = '55000';
    end if;
    return number;
end
$$;

create function raw_ops.today() returns date
language sql
as $$ select (engine.now() at time zone 'Europe/London')::date $$;

create function raw_ops.unknown_dispatch_files(hashes text[]) returns SETOF text
language sql stable
as $$
    select distinct h.hash from unnest(hashes) h (hash)
    where not exists (select from raw_ops.processed_3pl_files f where f.file_hash = h.hash)
      and not exists (
          select from raw_ops.webhook_inbox i where i.source = 'packer' and i.shop = '' and i.webhook_id = 'sha256:' || h.hash)
$$;

create function raw_ops.uuid_generate_v4() returns uuid
language sql parallel safe
as $$select gen_random_uuid()$$;

create function raw_ops.vat_standard_rate() returns numeric
language sql immutable parallel safe
as $$select 0.20$$;
comment on function raw_ops.vat_standard_rate() is 'UK VAT on pet food.';

create function raw_ops.wake_for_freed(before jsonb, after jsonb) returns void
language plpgsql
as $$
declare
    freed uuid[] := array(
        select b.key::uuid from jsonb_each_text(before) b
        where b.value::numeric > coalesce((after ->> b.key)::numeric, 0));
begin
    if cardinality(freed) > 0 then
        perform raw_ops.wake_waiting_orders(freed);
    end if;
end
$$;

create function raw_ops.wake_waiting_orders(product uuid) returns integer
language plpgsql
as $$
begin
    return raw_ops.wake_waiting_orders(array[product]);
end
$$;

create function raw_ops.wake_waiting_orders(products uuid[]) returns integer
language plpgsql
as $$
declare
    waiting uuid;
    woken integer := 0;
begin
    -- Before it looks who waits: an allocation that found nothing ends, or has yet to begin.
    perform raw_ops.lock_products(products);
    for waiting in
        select q.order_id
        from raw_ops.allocation_queue q
        where q.state = 'pending'
          and exists (select from raw_ops.order_needs(q.order_id) n where n.product_id = any (products))
        group by q.order_id
        order by min(q.priority), min(q.created_at), q.order_id
    loop
        perform raw_ops.enqueue_allocation(waiting);
        woken := woken + 1;
    end loop;
    return woken;
end
$$;

create function raw_ops.warn_of_dispatch_rows(failed integer) returns void
language sql
as $$
    select raw_ops.raise_alert('warning', 'Rows of the packer that came to nothing',
        'They stand in dispatch_import_queue as failed, with their reasons. Mend them and set them to pending.',
        key => 'dispatch rows', source_check => 'dispatch', times => failed)
$$;

create function raw_ops.warn_of_unknown_messages() returns bigint
language plpgsql
as $$
declare
    known_late bigint;
    first_late timestamptz;
begin
    select count(*), min(o.last_sent_at) into known_late, first_late from raw_ops.outbox o
    where o.state = 'unknown'
      and o.updated_at <= (select engine.now()) - make_interval(mins => raw_ops.threshold('outbox.unknown_minutes')::integer);
    if known_late > 0 then
        perform raw_ops.raise_alert('warning', 'Mails that may have been sent or not',
            'No report has come about them. Look for each in Customer.io; then set its row in raw_ops.outbox to sent, or to pending to have it sent again.',
            jsonb_build_array(jsonb_build_object('label', 'Mails', 'value', known_late::text, 'inline', true),
                jsonb_build_object('label', 'Oldest', 'value', to_char(first_late at time zone 'Europe/London', 'YYYY-MM-DD HH24:MI'), 'inline', true)),
            key => 'outbox unknown', source_check => 'outbox_health');
    else
        perform raw_ops.clear_alert('outbox unknown', 'Mails that may have been sent or not', 'Of each it is known now.');
    end if;
    return known_late;
end
$$;

create function raw_ops.watch_allocation_queue() returns integer
language plpgsql
as $$
declare
    fact record;
    open_alerts integer := 0;
begin
    for fact in
        select f.alert_type, f.severity, f.value, f.message, c.threshold_value as most, 'allocation ' || f.alert_type as key,
            coalesce(c.enabled, true) and f.value > c.threshold_value as beyond
        from raw_ops.allocation_figures() f
        join raw_ops.allocation_alert_config c on c.alert_type = f.alert_type
        order by f.alert_type
    loop
        if fact.beyond then
            open_alerts := open_alerts + 1;
            insert into raw_ops.allocation_alert_history (alert_type, severity, message, details, created_at)
            values (fact.alert_type, fact.severity, fact.message,
                jsonb_build_object('value', round(fact.value, 2), 'threshold', fact.most), engine.now())
            on conflict (alert_type) where resolved_at is null
            do update set message = excluded.message, details = excluded.details;
            perform raw_ops.raise_alert(fact.severity, 'Allocation', fact.message, key => fact.key, source_check => 'allocation_queue');
        else
            update raw_ops.allocation_alert_history h set resolved_at = engine.now()
            where h.alert_type = fact.alert_type and h.resolved_at is null;
            perform raw_ops.clear_alert(fact.key, 'Allocation', 'no more beyond its limit of ' || fact.most || ': ' || fact.alert_type);
        end if;
    end loop;
    return open_alerts;
end
$$;

create function raw_ops.webhook_kind(source text, topic text) returns text
language sql immutable parallel safe
as $$
    select case
        when source = 'courier' then 'couriers.record_event'
        when source = 'packer' then 'dispatch.read_file'
        when source = 'logger' then 'couriers.import_logger'
        when source <> 'shopify' then null
        when topic like 'orders/%' then 'orders.process_order'
        when topic = 'refunds/create' then 'orders.process_refund'
        when topic in ('fulfillments/create', 'fulfillments/update') then 'orders.process_fulfillment'
        when topic in ('customers/create', 'customers/update') then 'customers.process_customer'
        when topic in ('customers/data_request', 'customers/redact', 'shop/redact') then 'customers.handle_privacy_request'
    end
$$;

create function raw_ops.webhooks_to_retry(max_rows integer) returns SETOF uuid
language sql
as $$
    select i.id
    from raw_ops.webhook_inbox i
    where i.processing_status in ('pending', 'processing', 'failed', 'retrying')
      and raw_ops.webhook_kind(i.source, i.topic) is not null
      and greatest(i.received_at, i.updated_at, i.last_error_at) < (select engine.now()) - interval '5 minutes'
      and raw_ops.may_come_right(i.error_category, i.processing_attempts, i.received_at)
      and not exists (select from engine.unique_key u where u.kind = raw_ops.webhook_kind(i.source, i.topic) and u.key = i.id::text)
    order by i.received_at, i.id
    limit max_rows
    for no key update skip locked
$$;

create function raw_ops.whole_number(written text) returns integer
language sql immutable parallel safe
as $$ select case when written ~ '^[0-9]{1,9}$' then written::integer end $$;

create function raw_ops.xor_block(block bytea, mask integer) returns bytea
language plpgsql immutable parallel safe
as $$
begin
    for i in 0..length(block) - 1 loop
        block := set_byte(block, i, get_byte(block, i) # mask);
    end loop;
    return block;
end
$$;

-- Grants

grant usage on schema engine to rawops_ingest, rawops_operator, rawops_reader, rawops_runtime;
grant usage on schema raw_ops to rawops_ingest, rawops_operator, rawops_reader, rawops_runtime;
grant select on engine.aftermath to rawops_operator, rawops_reader;
grant select, insert on engine.aftermath to rawops_runtime;
grant select on engine.attempt to rawops_operator, rawops_reader;
grant select, insert on engine.attempt to rawops_runtime;
grant select on engine.attempt_figures to rawops_ingest, rawops_operator, rawops_reader, rawops_runtime;
grant select on engine.attempt_kept to rawops_operator, rawops_reader, rawops_runtime;
grant select on engine.attempt_minute to rawops_operator, rawops_reader, rawops_runtime;
grant select on engine.barred to rawops_operator, rawops_reader, rawops_runtime;
grant select on engine.breaker to rawops_reader;
grant select, insert, update on engine.breaker to rawops_runtime;
grant select, update (at_least), update (categories), update (changed_at), update (changed_by), update (cooldown_most_ms), update (cooldown_ms), update (share), update (window_ms) on engine.breaker to rawops_operator;
grant select on engine.breaker_count to rawops_operator, rawops_reader;
grant select, insert, update, delete on engine.breaker_count to rawops_runtime;
grant select on engine.breaker_figures to rawops_ingest, rawops_operator, rawops_reader, rawops_runtime;
grant select on engine.breaker_kind to rawops_operator, rawops_reader;
grant select, insert, update, delete on engine.breaker_kind to rawops_runtime;
grant select on engine.cancel_request to rawops_operator, rawops_reader;
grant select, delete on engine.cancel_request to rawops_runtime;
grant select on engine.child to rawops_operator, rawops_reader;
grant select, insert, delete on engine.child to rawops_runtime;
grant select on engine.child_end to rawops_operator, rawops_reader;
grant select, insert, delete on engine.child_end to rawops_runtime;
grant select on engine.claim to rawops_operator, rawops_reader;
grant select, insert, update, delete on engine.claim to rawops_runtime;
grant select on engine.compensation to rawops_operator, rawops_reader;
grant select, insert, update, delete on engine.compensation to rawops_runtime;
grant select on engine.dead_letter_queue to rawops_operator, rawops_reader;
grant select, insert on engine.dead_letter_queue to rawops_runtime;
grant select on engine.duty to rawops_operator, rawops_reader;
grant select, insert, update on engine.duty to rawops_runtime;
grant select on engine.duty_health to rawops_ingest, rawops_operator, rawops_reader, rawops_runtime;
grant select on engine.enqueue_key to rawops_operator, rawops_reader;
grant select, insert, update, delete on engine.enqueue_key to rawops_runtime;
grant select on engine.event to rawops_operator, rawops_reader;
grant select, update, delete on engine.event to rawops_runtime;
grant select on engine.event_wait to rawops_operator, rawops_reader;
grant select, insert, update, delete on engine.event_wait to rawops_runtime;
grant select on engine.idle to rawops_operator, rawops_reader;
grant select, insert, delete on engine.idle to rawops_runtime;
grant select on engine.job to rawops_operator, rawops_reader;
grant select, insert on engine.job to rawops_runtime;
grant select on engine.job_kept to rawops_operator, rawops_reader, rawops_runtime;
grant select on engine.job_state to rawops_operator, rawops_reader, rawops_runtime;
grant select on engine.kind to rawops_operator, rawops_reader;
grant select, insert, update on engine.kind to rawops_runtime;
grant select on engine.lane to rawops_reader;
grant select, insert on engine.lane to rawops_runtime;
grant select, update (paused) on engine.lane to rawops_operator;
grant select on engine.lane_figures to rawops_operator, rawops_reader, rawops_runtime;
grant select on engine.leader to rawops_operator, rawops_reader;
grant select, insert, update on engine.leader to rawops_runtime;
grant select on engine.limit_setting to rawops_reader;
grant select, insert, update on engine.limit_setting to rawops_runtime;
grant select, insert, update, delete on engine.limit_setting to rawops_operator;
grant select on engine.log_line to rawops_operator, rawops_reader;
grant select, insert, update, delete on engine.log_line to rawops_runtime;
grant select on engine.lookout to rawops_operator, rawops_reader;
grant select, insert, update on engine.lookout to rawops_runtime;
grant select on engine.measured to rawops_operator, rawops_reader, rawops_runtime;
grant select on engine.notice to rawops_operator, rawops_reader;
grant select, insert, update, delete on engine.notice to rawops_runtime;
grant select on engine.occurrence to rawops_operator, rawops_reader;
grant select, insert, delete on engine.occurrence to rawops_runtime;
grant select on engine.pace to rawops_operator, rawops_reader;
grant select, insert, update, delete on engine.pace to rawops_runtime;
grant select on engine.parked to rawops_operator, rawops_reader;
grant select, insert, update, delete on engine.parked to rawops_runtime;
grant select on engine.pause to rawops_operator, rawops_reader, rawops_runtime;
grant select on engine.paused to rawops_operator, rawops_reader, rawops_runtime;
grant select on engine.permit to rawops_operator, rawops_reader;
grant select, insert, update, delete on engine.permit to rawops_runtime;
grant select on engine.place to rawops_operator, rawops_reader, rawops_runtime;
grant select on engine.place_figures to rawops_ingest, rawops_operator, rawops_reader, rawops_runtime;
grant select on engine.progress to rawops_operator, rawops_reader;
grant select, insert, update, delete on engine.progress to rawops_runtime;
grant select on engine.queue to rawops_reader, rawops_runtime;
grant select, insert, update, delete on engine.queue to rawops_operator;
grant select on engine.queue_figures to rawops_ingest, rawops_operator, rawops_reader, rawops_runtime;
grant select on engine.ready to rawops_operator, rawops_reader;
grant select, insert, update, delete on engine.ready to rawops_runtime;
grant select on engine.restart to rawops_operator, rawops_reader, rawops_runtime;
grant select on engine.retention to rawops_reader, rawops_runtime;
grant select, update on engine.retention to rawops_operator;
grant select on engine.retry_config to rawops_reader, rawops_runtime;
grant select, insert, update, delete on engine.retry_config to rawops_operator;
grant select on engine.retry_override to rawops_reader, rawops_runtime;
grant select, insert, update, delete on engine.retry_override to rawops_operator;
grant select on engine.retry_policy_history to rawops_reader, rawops_runtime;
grant select, insert on engine.retry_policy_history to rawops_operator;
grant select on engine.schedule to rawops_reader;
grant select, insert, update on engine.schedule to rawops_operator, rawops_runtime;
grant select on engine.scheduled to rawops_operator, rawops_reader;
grant select, insert, update, delete on engine.scheduled to rawops_runtime;
grant select on engine.slot to rawops_operator, rawops_reader;
grant select, insert, update, delete on engine.slot to rawops_runtime;
grant select on engine.step to rawops_operator, rawops_reader;
grant select, insert, update, delete on engine.step to rawops_runtime;
grant select on engine.topic to rawops_operator, rawops_reader;
grant select, insert, update, delete on engine.topic to rawops_runtime;
grant select on engine.unique_key to rawops_operator, rawops_reader;
grant select, insert, update, delete on engine.unique_key to rawops_runtime;
grant select on engine.unique_period to rawops_operator, rawops_reader;
grant select, update, delete on engine.unique_period to rawops_runtime;
grant select on engine.waiting to rawops_operator, rawops_reader;
grant select, insert, update, delete on engine.waiting to rawops_runtime;
grant select on engine.watch to rawops_operator, rawops_reader;
grant select, insert, update on engine.watch to rawops_runtime;
grant select on engine.worker to rawops_operator, rawops_reader;
grant select, insert, update, delete on engine.worker to rawops_runtime;
grant select on engine.workflow_state to rawops_operator, rawops_reader, rawops_runtime;
grant select on raw_ops.ad_accounts to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.ad_accounts to rawops_runtime;
grant select on raw_ops.ad_campaigns to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.ad_campaigns to rawops_runtime;
grant select on raw_ops.address_changes to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.address_changes to rawops_runtime;
grant select on raw_ops.agent_decisions to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.agent_decisions to rawops_runtime;
grant select on raw_ops.agent_executions to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.agent_executions to rawops_runtime;
grant select on raw_ops.agent_tool_calls to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.agent_tool_calls to rawops_runtime;
grant select on raw_ops.agents to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.agents to rawops_runtime;
grant select on raw_ops.ai_knowledge_sections to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.ai_knowledge_sections to rawops_runtime;
grant select on raw_ops.ai_prompt_logs to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.ai_prompt_logs to rawops_runtime;
grant select on raw_ops.ai_prompt_templates to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.ai_prompt_templates to rawops_runtime;
grant select on raw_ops.alert_log to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.alert_log to rawops_runtime;
grant select on raw_ops.alert_retry_queue_backup to rawops_operator, rawops_reader, rawops_runtime;
grant select on raw_ops.alert_slow_processing to rawops_operator, rawops_reader, rawops_runtime;
grant select on raw_ops.allocation_alert_config to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.allocation_alert_config to rawops_runtime;
grant select on raw_ops.allocation_alert_history to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.allocation_alert_history to rawops_runtime;
grant select on raw_ops.allocation_queue to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.allocation_queue to rawops_runtime;
grant select on raw_ops.allocations to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.allocations to rawops_runtime;
grant select on raw_ops.allowed_delivery_areas to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.allowed_delivery_areas to rawops_runtime;
grant select, insert, update on raw_ops.api_tokens to rawops_operator;
grant select, update on raw_ops.api_tokens to rawops_runtime;
grant select on raw_ops.batch_status_history to rawops_operator, rawops_reader;
grant select, insert on raw_ops.batch_status_history to rawops_runtime;
grant select on raw_ops.batches to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.batches to rawops_runtime;
grant select on raw_ops.billing_attempts to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.billing_attempts to rawops_runtime;
grant select on raw_ops.calculator_discount_usage to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.calculator_discount_usage to rawops_runtime;
grant select on raw_ops.calculator_discounts to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.calculator_discounts to rawops_runtime;
grant select on raw_ops.calculator_pets to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.calculator_pets to rawops_runtime;
grant select, insert, update, delete on raw_ops.calculator_tokens to rawops_runtime;
grant select on raw_ops.chat_messages to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.chat_messages to rawops_runtime;
grant select on raw_ops.chat_sessions to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.chat_sessions to rawops_runtime;
grant select on raw_ops.config to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.config to rawops_runtime;
grant select on raw_ops.courier_event_mapping to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.courier_event_mapping to rawops_runtime;
grant select on raw_ops.courier_events to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.courier_events to rawops_runtime;
grant select on raw_ops.cron_jobs_metadata to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.cron_jobs_metadata to rawops_runtime;
grant select on raw_ops.cs_agent_decisions to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.cs_agent_decisions to rawops_runtime;
grant select on raw_ops.csat_responses to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.csat_responses to rawops_runtime;
grant select on raw_ops.currency_rates to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.currency_rates to rawops_runtime;
grant select on raw_ops.customer_credit_applications to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.customer_credit_applications to rawops_runtime;
grant select on raw_ops.customer_credit_events to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.customer_credit_events to rawops_runtime;
grant select on raw_ops.customer_credits to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.customer_credits to rawops_runtime;
grant select on raw_ops.customer_engagement_events to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.customer_engagement_events to rawops_runtime;
grant select on raw_ops.customer_figures to rawops_operator, rawops_reader, rawops_runtime;
grant select on raw_ops.customer_figures_due to rawops_operator, rawops_reader, rawops_runtime;
grant select on raw_ops.customer_health_scores to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.customer_health_scores to rawops_runtime;
grant select on raw_ops.customer_interventions to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.customer_interventions to rawops_runtime;
grant select on raw_ops.customers to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.customers to rawops_runtime;
grant select on raw_ops.dead_letter_queue to rawops_operator, rawops_reader, rawops_runtime;
grant select on raw_ops.delivery_reports to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.delivery_reports to rawops_runtime;
grant select on raw_ops.dispatch_import_queue to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.dispatch_import_queue to rawops_runtime;
grant select on raw_ops.email_events to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.email_events to rawops_runtime;
grant select on raw_ops.escalation_queue to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.escalation_queue to rawops_runtime;
grant select on raw_ops.exceptions_queue to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.exceptions_queue to rawops_runtime;
grant select on raw_ops.export_outbox to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.export_outbox to rawops_runtime;
grant select on raw_ops.feeding_plans to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.feeding_plans to rawops_runtime;
grant select on raw_ops.formulations to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.formulations to rawops_runtime;
grant select on raw_ops.high_risk_postcodes to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.high_risk_postcodes to rawops_runtime;
grant select on raw_ops.inventory to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.inventory to rawops_runtime;
grant select on raw_ops.inventory_movements to rawops_operator, rawops_reader;
grant select, insert on raw_ops.inventory_movements to rawops_runtime;
grant select on raw_ops.inventory_on_hand to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.inventory_on_hand to rawops_runtime;
grant select on raw_ops.inventory_planning_config to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.inventory_planning_config to rawops_runtime;
grant select on raw_ops.invoice_parsing_jobs to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.invoice_parsing_jobs to rawops_runtime;
grant select on raw_ops.lab_pdf_patterns to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.lab_pdf_patterns to rawops_runtime;
grant select on raw_ops.lab_result_history to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.lab_result_history to rawops_runtime;
grant select on raw_ops.lab_result_samples to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.lab_result_samples to rawops_runtime;
grant select on raw_ops.lab_results to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.lab_results to rawops_runtime;
grant select on raw_ops.lifecycle_events to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.lifecycle_events to rawops_runtime;
grant select on raw_ops.manual_override_audit to rawops_operator, rawops_reader;
grant select, insert on raw_ops.manual_override_audit to rawops_runtime;
grant select on raw_ops.monitoring_runs to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.monitoring_runs to rawops_runtime;
grant select on raw_ops.ops_events to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.ops_events to rawops_runtime;
grant select on raw_ops.order_items to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.order_items to rawops_runtime;
grant select on raw_ops.order_notes to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.order_notes to rawops_runtime;
grant select on raw_ops.orders to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.orders to rawops_runtime;
grant select on raw_ops.outbox to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.outbox to rawops_runtime;
grant select on raw_ops.pack_quality_checks to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.pack_quality_checks to rawops_runtime;
grant select on raw_ops.packing_instructions to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.packing_instructions to rawops_runtime;
grant select on raw_ops.partner_contacts to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.partner_contacts to rawops_runtime;
grant select on raw_ops.payment_events to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.payment_events to rawops_runtime;
grant select, insert, update, delete on raw_ops.portal_sessions to rawops_runtime;
grant select on raw_ops.privacy_requests to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.privacy_requests to rawops_runtime;
grant select on raw_ops.processed_3pl_files to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.processed_3pl_files to rawops_runtime;
grant select on raw_ops.products to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.products to rawops_runtime;
grant select on raw_ops.proof_artifacts to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.proof_artifacts to rawops_runtime;
grant select on raw_ops.proof_jobs to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.proof_jobs to rawops_runtime;
grant select on raw_ops.proof_page_events to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.proof_page_events to rawops_runtime;
grant select on raw_ops.referral_codes to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.referral_codes to rawops_runtime;
grant select on raw_ops.referral_events to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.referral_events to rawops_runtime;
grant select on raw_ops.referral_rewards to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.referral_rewards to rawops_runtime;
grant select on raw_ops.referrals to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.referrals to rawops_runtime;
grant select on raw_ops.refunds to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.refunds to rawops_runtime;
grant select on raw_ops.replacement_requests to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.replacement_requests to rawops_runtime;
grant select on raw_ops.retry_config to rawops_reader, rawops_runtime;
grant select, insert, update, delete on raw_ops.retry_config to rawops_operator;
grant insert on raw_ops.seal_webhook_inbox to rawops_ingest;
grant select on raw_ops.seal_webhook_inbox to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.seal_webhook_inbox to rawops_runtime;
grant select on raw_ops.shipments to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.shipments to rawops_runtime;
grant select on raw_ops.soft_reservations to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.soft_reservations to rawops_runtime;
grant select on raw_ops.stock_dispatches to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.stock_dispatches to rawops_runtime;
grant select on raw_ops.subscription_actions to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.subscription_actions to rawops_runtime;
grant select on raw_ops.subscription_config to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.subscription_config to rawops_runtime;
grant select on raw_ops.subscription_events to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.subscription_events to rawops_runtime;
grant select on raw_ops.subscriptions to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.subscriptions to rawops_runtime;
grant select on raw_ops.support_tickets to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.support_tickets to rawops_runtime;
grant select on raw_ops.system_config to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.system_config to rawops_runtime;
grant select on raw_ops.temperature_audits to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.temperature_audits to rawops_runtime;
grant select on raw_ops.temperature_logger_data to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.temperature_logger_data to rawops_runtime;
grant select on raw_ops.testimonials to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.testimonials to rawops_runtime;
grant select on raw_ops.ticket_messages to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.ticket_messages to rawops_runtime;
grant select on raw_ops.ticket_notes to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.ticket_notes to rawops_runtime;
grant select on raw_ops.v_customer_context to rawops_operator, rawops_reader, rawops_runtime;
grant select on raw_ops.v_daily_snapshot_health to rawops_operator, rawops_reader, rawops_runtime;
grant select on raw_ops.v_error_summary to rawops_operator, rawops_reader, rawops_runtime;
grant select on raw_ops.v_inventory_status to rawops_operator, rawops_reader, rawops_runtime;
grant select on raw_ops.v_lab_sla_tracking to rawops_operator, rawops_reader, rawops_runtime;
grant select on raw_ops.v_outbox_health to rawops_operator, rawops_reader, rawops_runtime;
grant select on raw_ops.v_pack_queue to rawops_operator, rawops_reader, rawops_runtime;
grant select on raw_ops.v_released_batches_verified to rawops_operator, rawops_reader, rawops_runtime;
grant select on raw_ops.v_retry_queue_depth to rawops_operator, rawops_reader, rawops_runtime;
grant select on raw_ops.v_support_queue to rawops_operator, rawops_reader, rawops_runtime;
grant select on raw_ops.v_webhook_health to rawops_operator, rawops_reader, rawops_runtime;
grant select on raw_ops.v_working_capital_metrics to rawops_operator, rawops_reader, rawops_runtime;
grant insert on raw_ops.webhook_inbox to rawops_ingest;
grant select on raw_ops.webhook_inbox to rawops_operator, rawops_reader;
grant select, insert, update, delete on raw_ops.webhook_inbox to rawops_runtime;
grant select on sequence engine."position" to rawops_operator, rawops_reader;
grant usage, select on sequence engine."position" to rawops_runtime;
grant select on sequence engine.claim_id_seq to rawops_operator, rawops_reader;
grant usage, select on sequence engine.claim_id_seq to rawops_runtime;
grant select on sequence engine.event_id_seq to rawops_operator, rawops_reader;
grant usage, select on sequence engine.event_id_seq to rawops_runtime;
grant select on sequence engine.lane_id_seq to rawops_operator, rawops_reader;
grant usage, select on sequence engine.lane_id_seq to rawops_runtime;
grant select on sequence engine.limit_setting_id_seq to rawops_operator, rawops_reader;
grant usage, select on sequence engine.limit_setting_id_seq to rawops_runtime;
grant select on sequence engine.notice_id_seq to rawops_operator, rawops_reader;
grant usage, select on sequence engine.notice_id_seq to rawops_runtime;
grant select on sequence engine.pause_id_seq to rawops_operator, rawops_reader;
grant usage, select on sequence engine.pause_id_seq to rawops_runtime;
grant select on sequence engine.retry_policy_history_id_seq to rawops_operator, rawops_reader;
grant usage, select on sequence engine.retry_policy_history_id_seq to rawops_runtime;
grant select on sequence engine.worker_id_seq to rawops_operator, rawops_reader;
grant usage, select on sequence engine.worker_id_seq to rawops_runtime;
grant select on sequence raw_ops.ad_accounts_id_seq to rawops_operator, rawops_reader;
grant usage, select on sequence raw_ops.ad_accounts_id_seq to rawops_runtime;
grant select on sequence raw_ops.ad_campaigns_id_seq to rawops_operator, rawops_reader;
grant usage, select on sequence raw_ops.ad_campaigns_id_seq to rawops_runtime;
grant select on sequence raw_ops.address_changes_number_seq to rawops_operator, rawops_reader;
grant usage, select on sequence raw_ops.address_changes_number_seq to rawops_runtime;
grant select on sequence raw_ops.allowed_delivery_areas_id_seq to rawops_operator, rawops_reader;
grant usage, select on sequence raw_ops.allowed_delivery_areas_id_seq to rawops_runtime;
grant select on sequence raw_ops.api_tokens_id_seq to rawops_operator, rawops_reader;
grant usage, select on sequence raw_ops.api_tokens_id_seq to rawops_runtime;
grant select on sequence raw_ops.currency_rates_id_seq to rawops_operator, rawops_reader;
grant usage, select on sequence raw_ops.currency_rates_id_seq to rawops_runtime;
grant select on sequence raw_ops.high_risk_postcodes_id_seq to rawops_operator, rawops_reader;
grant usage, select on sequence raw_ops.high_risk_postcodes_id_seq to rawops_runtime;
grant select on sequence raw_ops.pack_quality_checks_id_seq to rawops_operator, rawops_reader;
grant usage, select on sequence raw_ops.pack_quality_checks_id_seq to rawops_runtime;
grant select on sequence raw_ops.packing_instructions_id_seq to rawops_operator, rawops_reader;
grant usage, select on sequence raw_ops.packing_instructions_id_seq to rawops_runtime;
grant select on sequence raw_ops.temperature_logger_data_id_seq to rawops_operator, rawops_reader;
grant usage, select on sequence raw_ops.temperature_logger_data_id_seq to rawops_runtime;
grant execute on function engine.args_key(jsonb) to rawops_runtime;
grant execute on function engine.ask_cancel(bigint,text,text) to rawops_operator;
grant execute on function engine.await_standby() to rawops_ingest, rawops_operator, rawops_runtime;
grant execute on function engine.cancel_waiting(bigint,text) to rawops_operator;
grant execute on function engine.checked_name(text,text) to rawops_operator, rawops_reader, rawops_runtime;
grant execute on function engine.collapse_snoozes(bigint[]) to rawops_runtime;
grant execute on function engine.count_permits(integer) to rawops_operator, rawops_runtime;
grant execute on function engine.count_scheduled() to rawops_runtime;
grant execute on function engine.discard_letter(uuid,text,text) to rawops_operator;
grant execute on function engine.drop_expired_partition() to rawops_runtime;
grant execute on function engine.emit(text,text,jsonb,text) to rawops_ingest, rawops_operator, rawops_runtime;
grant execute on function engine.enqueue(text,jsonb,text,smallint,timestamp with time zone,text,text,text,text,smallint,bigint,text,uuid,timestamp with time zone,boolean,interval,boolean,boolean,interval,interval) to rawops_runtime;
grant execute on function engine.enqueue_each(text,text,jsonb[],text[],timestamp with time zone[],text[]) to rawops_runtime;
grant execute on function engine.error_categories() to rawops_operator, rawops_reader, rawops_runtime;
grant execute on function engine.estimate_jobs(regclass) to rawops_runtime;
grant execute on function engine.extend_partitions(bigint,bigint) to rawops_runtime;
grant execute on function engine.forget_ended(integer) to rawops_runtime;
grant execute on function engine.forget_letters(integer) to rawops_runtime;
grant execute on function engine.give_back(bigint[]) to rawops_runtime;
grant execute on function engine.give_back(bigint[],bigint[]) to rawops_runtime;
grant execute on function engine.give_back_kept(integer) to rawops_operator, rawops_runtime;
grant execute on function engine.head_of_line(bigint) to rawops_runtime;
grant execute on function engine.hold_breaker(text,text,text,text) to rawops_operator;
grant execute on function engine.hold_in_place(bigint) to rawops_runtime;
grant execute on function engine.hold_unique_key(text,text,bigint,boolean,boolean,interval,interval,interval) to rawops_runtime;
grant execute on function engine.is_running(bigint) to rawops_runtime;
grant execute on function engine.kept_since(text) to rawops_runtime;
grant execute on function engine.key_holds_back(bigint) to rawops_runtime;
grant execute on function engine.keys_are_alike(integer) to rawops_operator, rawops_reader, rawops_runtime;
grant execute on function engine.lane_of(text,text,smallint) to rawops_runtime;
grant execute on function engine.limit_of_key(text) to rawops_operator, rawops_reader, rawops_runtime;
grant execute on function engine.measure_figures(integer) to rawops_ingest, rawops_runtime;
grant execute on function engine.now() to rawops_ingest, rawops_operator, rawops_reader, rawops_runtime;
grant execute on function engine.pause_work(text,text,text,text,timestamp with time zone,timestamp with time zone) to rawops_operator;
grant execute on function engine.position_of_return(integer) to rawops_runtime;
grant execute on function engine.put_in_place(bigint,integer,integer,timestamp with time zone,text) to rawops_runtime;
grant execute on function engine.rate_after(integer,bigint,integer,timestamp with time zone,timestamp with time zone,bigint) to rawops_operator, rawops_reader, rawops_runtime;
grant execute on function engine.rate_left(integer,bigint,integer,timestamp with time zone,timestamp with time zone) to rawops_operator, rawops_reader, rawops_runtime;
grant execute on function engine.rate_owed(integer,bigint,integer,timestamp with time zone,timestamp with time zone) to rawops_operator, rawops_reader, rawops_runtime;
grant execute on function engine.rate_step(integer,bigint,integer) to rawops_operator, rawops_reader, rawops_runtime;
grant execute on function engine.rate_wait(integer,bigint,integer,timestamp with time zone,timestamp with time zone,integer) to rawops_operator, rawops_reader, rawops_runtime;
grant execute on function engine.requeue_letter(uuid,text,jsonb) to rawops_operator;
grant execute on function engine.requeue_letters(uuid[],text,jsonb[]) to rawops_operator;
grant execute on function engine.restart_workflow(bigint,integer,text) to rawops_operator;
grant execute on function engine.resume_work(text,text,text) to rawops_operator;
grant execute on function engine.retry_policy_fault(integer,integer[],integer,integer) to rawops_operator, rawops_reader, rawops_runtime;
grant execute on function engine.roll_up_attempts() to rawops_runtime;
grant execute on function engine.run_schedule(text,timestamp with time zone,text,text,text,jsonb,text,smallint,text,smallint,text,timestamp with time zone,boolean,interval,boolean,boolean) to rawops_operator;
grant execute on function engine.settle_aftermath(integer) to rawops_runtime;
grant execute on function engine.settle_cancels(integer) to rawops_runtime;
grant execute on function engine.slots_held() to rawops_runtime;
grant execute on function engine.take_back_held(integer) to rawops_runtime;
grant execute on function engine.take_notices(integer) to rawops_runtime;
grant execute on function engine.trace_parent(text) to rawops_runtime;
grant execute on function engine.unpark(bigint[]) to rawops_runtime;
grant execute on function engine.wake() to rawops_runtime;
grant execute on function raw_ops.address_of(raw_ops.customers) to rawops_runtime;
grant execute on function raw_ops.address_state(raw_ops.address_changes,text) to rawops_runtime;
grant execute on function raw_ops.addresses_before(uuid,text) to rawops_runtime;
grant execute on function raw_ops.advance_shipment(uuid,raw_ops.shipment_status,timestamp with time zone) to rawops_runtime;
grant execute on function raw_ops.alert_channel(text) to rawops_runtime;
grant execute on function raw_ops.alert_window() to rawops_runtime;
grant execute on function raw_ops.allocate_order_to_batches(uuid) to rawops_runtime;
grant execute on function raw_ops.allocation_figures() to rawops_runtime;
grant execute on function raw_ops.allocation_outcome(uuid,raw_ops.order_status) to rawops_runtime;
grant execute on function raw_ops.apply_report(uuid,text,text,text) to rawops_runtime;
grant execute on function raw_ops.apply_shopify_customer(uuid,jsonb,timestamp with time zone) to rawops_runtime;
grant execute on function raw_ops.apply_shopify_order(raw_ops.webhook_inbox,timestamp with time zone,raw_ops.orders,raw_ops.order_status) to rawops_runtime;
grant execute on function raw_ops.attempt_rank(text) to rawops_runtime;
grant execute on function raw_ops.audit_temperature(uuid,text,text,numeric,text) to rawops_runtime;
grant execute on function raw_ops.awaits_address_sync(uuid) to rawops_runtime;
grant execute on function raw_ops.begin_address_sync(uuid,text) to rawops_runtime;
grant execute on function raw_ops.begin_export(uuid) to rawops_runtime;
grant execute on function raw_ops.begin_message(uuid) to rawops_runtime;
grant execute on function raw_ops.call_off_address_change(uuid,text) to rawops_operator;
grant execute on function raw_ops.cancelled_units(bigint,text,uuid) to rawops_runtime;
grant execute on function raw_ops.check_shopify_order(text,jsonb) to rawops_runtime;
grant execute on function raw_ops.clear_alert(text,text,text) to rawops_ingest, rawops_operator, rawops_runtime;
grant execute on function raw_ops.clear_failures() to rawops_runtime;
grant execute on function raw_ops.close_privacy_request(uuid,text,text) to rawops_operator;
grant execute on function raw_ops.complaints(text[]) to rawops_runtime;
grant execute on function raw_ops.cosine_distance(real[],real[]) to rawops_runtime;
grant execute on function raw_ops.count_fulfilled(raw_ops.orders,uuid) to rawops_runtime;
grant execute on function raw_ops.courier_time(text) to rawops_runtime;
grant execute on function raw_ops.courier_word(text,text) to rawops_runtime;
grant execute on function raw_ops.dispatch_from_batch(uuid,uuid,integer) to rawops_runtime;
grant execute on function raw_ops.dispatch_parcel(raw_ops.orders,jsonb,timestamp with time zone) to rawops_runtime;
grant execute on function raw_ops.dispatch_stock(uuid,uuid) to rawops_runtime;
grant execute on function raw_ops.drop_holds(uuid) to rawops_runtime;
grant execute on function raw_ops.enqueue_allocation(uuid) to rawops_runtime;
grant execute on function raw_ops.execute_manual_inventory_adjustment(uuid,integer,text,text) to rawops_operator;
grant execute on function raw_ops.first_expiry() to rawops_operator, rawops_reader, rawops_runtime;
grant execute on function raw_ops.fn_check_lab_sla_v2() to rawops_runtime;
grant execute on function raw_ops.fn_check_order_ingestion_slo_v2() to rawops_runtime;
grant execute on function raw_ops.fn_check_outbox_health_v2() to rawops_runtime;
grant execute on function raw_ops.fn_check_stock_levels_v2() to rawops_runtime;
grant execute on function raw_ops.fn_check_support_queue_v2() to rawops_runtime;
grant execute on function raw_ops.fn_check_working_capital_v2() to rawops_runtime;
grant execute on function raw_ops.fn_daily_snapshot_v2() to rawops_runtime;
grant execute on function raw_ops.follow_fulfillment(uuid,jsonb,timestamp with time zone) to rawops_runtime;
grant execute on function raw_ops.free_allocations(uuid) to rawops_runtime;
grant execute on function raw_ops.free_batches(uuid,date) to rawops_operator, rawops_reader, rawops_runtime;
grant execute on function raw_ops.free_line(uuid,uuid,integer) to rawops_runtime;
grant execute on function raw_ops.free_units(uuid) to rawops_runtime;
grant execute on function raw_ops.generate_public_batch_id(text) to rawops_runtime;
grant execute on function raw_ops.get_current_inventory_for_reconciliation() to rawops_operator, rawops_reader, rawops_runtime;
grant execute on function raw_ops.get_daily_snapshot(date) to rawops_operator, rawops_reader, rawops_runtime;
grant execute on function raw_ops.get_low_stock_alerts() to rawops_operator, rawops_reader, rawops_runtime;
grant execute on function raw_ops.give_up_holds(uuid) to rawops_runtime;
grant execute on function raw_ops.handle_courier_event(uuid) to rawops_runtime;
grant execute on function raw_ops.has_arrived_unread(raw_ops.shipments) to rawops_runtime;
grant execute on function raw_ops.has_ended_late(uuid) to rawops_runtime;
grant execute on function raw_ops.held_products(uuid) to rawops_runtime;
grant execute on function raw_ops.held_units(uuid) to rawops_runtime;
grant execute on function raw_ops.hmac_sha256(bytea,bytea) to rawops_runtime;
grant execute on function raw_ops.hold_from_export(uuid[],text[]) to rawops_runtime;
grant execute on function raw_ops.hold_parcel(uuid,text) to rawops_runtime;
grant execute on function raw_ops.hold_stock(uuid) to rawops_runtime;
grant execute on function raw_ops.hold_units(uuid,uuid,bigint,timestamp with time zone) to rawops_runtime;
grant execute on function raw_ops.instruction_fits(raw_ops.packing_instructions,raw_ops.orders) to rawops_runtime;
grant execute on function raw_ops.is_address(jsonb) to rawops_runtime;
grant execute on function raw_ops.is_address_forgotten(raw_ops.address_changes,text,timestamp with time zone) to rawops_runtime;
grant execute on function raw_ops.is_ended_at_shopify(raw_ops.orders) to rawops_runtime;
grant execute on function raw_ops.is_seeding() to rawops_runtime;
grant execute on function raw_ops.keep_dispatch_file(uuid,text,text,text,text[],jsonb[],text[]) to rawops_runtime;
grant execute on function raw_ops.keep_export(text,uuid[],text[],jsonb,text,text,text) to rawops_runtime;
grant execute on function raw_ops.lab_result_refusal(raw_ops.lab_results) to rawops_runtime;
grant execute on function raw_ops.lab_samples_refusal(uuid) to rawops_runtime;
grant execute on function raw_ops.leaves_stock_to_older(uuid) to rawops_runtime;
grant execute on function raw_ops.lines_agreed_at(uuid) to rawops_runtime;
grant execute on function raw_ops.lines_to_export(integer) to rawops_runtime;
grant execute on function raw_ops.lock_products(uuid[]) to rawops_runtime;
grant execute on function raw_ops.lock_shopify_order(text) to rawops_runtime;
grant execute on function raw_ops.log_allocation(uuid,text,integer,text,uuid) to rawops_runtime;
grant execute on function raw_ops.log_customer_conflict(uuid,uuid,text,uuid) to rawops_runtime;
grant execute on function raw_ops.log_event(text,uuid,text,text,jsonb,text,uuid) to rawops_runtime;
grant execute on function raw_ops.log_order_once(uuid,text,text,text,uuid) to rawops_runtime;
grant execute on function raw_ops.log_seal_event(raw_ops.seal_webhook_inbox,raw_ops.subscriptions,text,text,timestamp with time zone) to rawops_runtime;
grant execute on function raw_ops.mail_of_dispatch(raw_ops.shipments) to rawops_runtime;
grant execute on function raw_ops.mail_of_report(text,timestamp with time zone) to rawops_runtime;
grant execute on function raw_ops.mail_of_scan(raw_ops.courier_events,raw_ops.shipments,raw_ops.courier_event_mapping) to rawops_runtime;
grant execute on function raw_ops.mark_sent(uuid,text) to rawops_runtime;
grant execute on function raw_ops.may_come_right(text,integer,timestamp with time zone) to rawops_runtime;
grant execute on function raw_ops.minutes_since(timestamp with time zone) to rawops_runtime;
grant execute on function raw_ops.missing_stock(uuid) to rawops_runtime;
grant execute on function raw_ops.monitor_answer(text,text,text,text,json) to rawops_runtime;
grant execute on function raw_ops.move_stock(uuid,integer,text,text) to rawops_runtime;
grant execute on function raw_ops.nearest_knowledge(real[],text,integer) to rawops_runtime;
grant execute on function raw_ops.next_export_batch() to rawops_runtime;
grant execute on function raw_ops.next_order_status(raw_ops.order_status,raw_ops.order_status) to rawops_runtime;
grant execute on function raw_ops.next_shipment_status(raw_ops.shipment_status,raw_ops.shipment_status) to rawops_runtime;
grant execute on function raw_ops.note_email_event(raw_ops.outbox) to rawops_runtime;
grant execute on function raw_ops.note_unknown_code(text,text,uuid) to rawops_runtime;
grant execute on function raw_ops.note_unknown_topic(uuid,text,text) to rawops_runtime;
grant execute on function raw_ops.only_batch_of(uuid) to rawops_runtime;
grant execute on function raw_ops.open_allocations(uuid) to rawops_runtime;
grant execute on function raw_ops.open_parcel_case(raw_ops.courier_events,raw_ops.shipments,raw_ops.courier_event_mapping,text) to rawops_runtime;
grant execute on function raw_ops.open_work() to rawops_operator, rawops_reader, rawops_runtime;
grant execute on function raw_ops.order_figures(uuid) to rawops_runtime;
grant execute on function raw_ops.order_needs(uuid) to rawops_operator, rawops_reader, rawops_runtime;
grant execute on function raw_ops.orders_behind(bigint[],timestamp with time zone[]) to rawops_runtime;
grant execute on function raw_ops.orders_of_day(timestamp with time zone,timestamp with time zone) to rawops_operator, rawops_reader, rawops_runtime;
grant execute on function raw_ops.orders_reconciled_until() to rawops_runtime;
grant execute on function raw_ops.orders_to_pack(date,integer) to rawops_runtime;
grant execute on function raw_ops.owed_to_older(uuid,uuid) to rawops_runtime;
grant execute on function raw_ops.pack_check(bigint) to rawops_runtime;
grant execute on function raw_ops.packing_rules() to rawops_runtime;
grant execute on function raw_ops.parcel_of(text,timestamp with time zone) to rawops_runtime;
grant execute on function raw_ops.parcel_of_log(uuid,timestamp with time zone,timestamp with time zone) to rawops_runtime;
grant execute on function raw_ops.parcel_status(text) to rawops_runtime;
grant execute on function raw_ops.parcel_to_pack(uuid) to rawops_runtime;
grant execute on function raw_ops.privacy_task(text) to rawops_runtime;
grant execute on function raw_ops.process_courier_event_txn(uuid) to rawops_runtime;
grant execute on function raw_ops.process_customer_webhook_txn(uuid) to rawops_runtime;
grant execute on function raw_ops.process_dispatch_txn(uuid) to rawops_runtime;
grant execute on function raw_ops.process_fulfillment_webhook_txn(uuid) to rawops_runtime;
grant execute on function raw_ops.process_order_webhook_txn(uuid) to rawops_runtime;
grant execute on function raw_ops.process_privacy_webhook_txn(uuid) to rawops_runtime;
grant execute on function raw_ops.process_refund_webhook_txn(uuid) to rawops_runtime;
grant execute on function raw_ops.process_seal_webhook_txn(uuid) to rawops_runtime;
grant execute on function raw_ops.put_packing_instruction(uuid,jsonb,interval) to rawops_runtime;
grant execute on function raw_ops.raise_alert(text,text,text,jsonb,text,text,uuid,integer) to rawops_ingest, rawops_operator, rawops_runtime;
grant execute on function raw_ops.readable_courier_time(text) to rawops_runtime;
grant execute on function raw_ops.record_release(raw_ops.batches,uuid,text,timestamp with time zone) to rawops_runtime;
grant execute on function raw_ops.record_shopify_refund(jsonb,raw_ops.orders,uuid) to rawops_runtime;
grant execute on function raw_ops.refresh_inventory(uuid) to rawops_runtime;
grant execute on function raw_ops.refresh_on_hand(uuid) to rawops_runtime;
grant execute on function raw_ops.release_alerts() to rawops_runtime;
grant execute on function raw_ops.release_batch(uuid,text) to rawops_operator, rawops_runtime;
grant execute on function raw_ops.release_expired_hold() to rawops_runtime;
grant execute on function raw_ops.release_refusal(raw_ops.batches,raw_ops.lab_results) to rawops_runtime;
grant execute on function raw_ops.remind_of_privacy_request(uuid) to rawops_runtime;
grant execute on function raw_ops.request_allocation(uuid,raw_ops.order_status) to rawops_runtime;
grant execute on function raw_ops.reserve_for_order(uuid,uuid) to rawops_runtime;
grant execute on function raw_ops.reserve_stock(uuid,uuid,integer,integer,uuid) to rawops_runtime;
grant execute on function raw_ops.resolve_export(uuid,text,text) to rawops_operator;
grant execute on function raw_ops.resolve_message(uuid,text,text) to rawops_operator;
grant execute on function raw_ops.resolve_stopped_order(text,text) to rawops_operator;
grant execute on function raw_ops.retry_failed_webhooks(integer) to rawops_ingest, rawops_operator, rawops_runtime;
grant execute on function raw_ops.save_billing_attempt(raw_ops.subscriptions,jsonb,boolean,integer,timestamp with time zone) to rawops_runtime;
grant execute on function raw_ops.save_billing_attempts(raw_ops.subscriptions,jsonb,boolean) to rawops_runtime;
grant execute on function raw_ops.save_seal_subscription(jsonb,uuid,raw_ops.subscriptions,timestamp with time zone,timestamp with time zone) to rawops_runtime;
grant execute on function raw_ops.save_shopify_customer(uuid,jsonb) to rawops_runtime;
grant execute on function raw_ops.save_shopify_items(jsonb,uuid,boolean) to rawops_runtime;
grant execute on function raw_ops.save_shopify_order(jsonb,timestamp with time zone,uuid,raw_ops.order_status) to rawops_runtime;
grant execute on function raw_ops.save_temperature_log(uuid,uuid,jsonb,jsonb,text,text) to rawops_runtime;
grant execute on function raw_ops.seal_age(jsonb) to rawops_runtime;
grant execute on function raw_ops.seal_attempt_status(jsonb) to rawops_runtime;
grant execute on function raw_ops.seal_customer(jsonb,uuid) to rawops_runtime;
grant execute on function raw_ops.seal_days(text) to rawops_runtime;
grant execute on function raw_ops.seal_event(text,text,text) to rawops_runtime;
grant execute on function raw_ops.seal_time(text) to rawops_runtime;
grant execute on function raw_ops.seal_webhooks_to_retry(integer) to rawops_runtime;
grant execute on function raw_ops.set_address_state(uuid,text,text,text) to rawops_runtime;
grant execute on function raw_ops.set_allocation_status(uuid,text) to rawops_runtime;
grant execute on function raw_ops.settle_address_sync(uuid,text,text,text) to rawops_runtime;
grant execute on function raw_ops.settle_alert(uuid,integer,text) to rawops_runtime;
grant execute on function raw_ops.settle_allocation_queue(uuid,text) to rawops_runtime;
grant execute on function raw_ops.settle_changed_lines(uuid,text,uuid) to rawops_runtime;
grant execute on function raw_ops.settle_event(uuid,text,text) to rawops_runtime;
grant execute on function raw_ops.settle_export(uuid,text) to rawops_runtime;
grant execute on function raw_ops.settle_message(uuid,text,text,text) to rawops_runtime;
grant execute on function raw_ops.settle_pack_check(bigint,numeric,numeric,integer,text[]) to rawops_runtime;
grant execute on function raw_ops.settle_reconciliation(timestamp with time zone,integer) to rawops_runtime;
grant execute on function raw_ops.settle_refunded_order(jsonb,raw_ops.orders,uuid) to rawops_runtime;
grant execute on function raw_ops.settle_shopify_items(jsonb,raw_ops.orders,uuid,raw_ops.order_status,uuid) to rawops_runtime;
grant execute on function raw_ops.settle_subscription_payment(uuid) to rawops_runtime;
grant execute on function raw_ops.settle_webhook(uuid,timestamp with time zone) to rawops_runtime;
grant execute on function raw_ops.severity_rank(text) to rawops_runtime;
grant execute on function raw_ops.shipment_figures(uuid) to rawops_runtime;
grant execute on function raw_ops.shipments_of_day(timestamp with time zone,timestamp with time zone) to rawops_operator, rawops_reader, rawops_runtime;
grant execute on function raw_ops.shopify_cancelled_lines(jsonb) to rawops_runtime;
grant execute on function raw_ops.shopify_customer_id(jsonb,uuid) to rawops_runtime;
grant execute on function raw_ops.shopify_fulfilled_qty(jsonb) to rawops_runtime;
grant execute on function raw_ops.shopify_fulfillments(bigint,uuid) to rawops_runtime;
grant execute on function raw_ops.shopify_is_subscription(jsonb) to rawops_runtime;
grant execute on function raw_ops.shopify_item_changes(jsonb,uuid) to rawops_runtime;
grant execute on function raw_ops.shopify_line_net(jsonb) to rawops_runtime;
grant execute on function raw_ops.shopify_line_vat_rate(jsonb,jsonb) to rawops_runtime;
grant execute on function raw_ops.shopify_lines_left(jsonb,boolean) to rawops_runtime;
grant execute on function raw_ops.shopify_list(jsonb,text) to rawops_runtime;
grant execute on function raw_ops.shopify_live_lines(jsonb,boolean) to rawops_runtime;
grant execute on function raw_ops.shopify_marketing(jsonb) to rawops_runtime;
grant execute on function raw_ops.shopify_named_value(jsonb,text) to rawops_runtime;
grant execute on function raw_ops.shopify_names_tax(jsonb) to rawops_runtime;
grant execute on function raw_ops.shopify_notes(jsonb) to rawops_runtime;
grant execute on function raw_ops.shopify_object(jsonb,text) to rawops_runtime;
grant execute on function raw_ops.shopify_order_money(jsonb) to rawops_runtime;
grant execute on function raw_ops.shopify_order_status(jsonb) to rawops_runtime;
grant execute on function raw_ops.shopify_parcel_status(text) to rawops_runtime;
grant execute on function raw_ops.shopify_ship_to(jsonb) to rawops_runtime;
grant execute on function raw_ops.shopify_tags(jsonb) to rawops_runtime;
grant execute on function raw_ops.shopify_tax(jsonb) to rawops_runtime;
grant execute on function raw_ops.shopify_text(jsonb,text) to rawops_runtime;
grant execute on function raw_ops.shopify_unit_price_ex_vat(jsonb,jsonb) to rawops_runtime;
grant execute on function raw_ops.shopify_utm(jsonb) to rawops_runtime;
grant execute on function raw_ops.shopify_wants_more(jsonb,uuid) to rawops_runtime;
grant execute on function raw_ops.shrink_refunded_lines(jsonb,raw_ops.orders,uuid) to rawops_runtime;
grant execute on function raw_ops.stock_drift() to rawops_runtime;
grant execute on function raw_ops.stop_order(uuid,text) to rawops_runtime;
grant execute on function raw_ops.store_courier_event(text,text,bytea,bytea,text) to rawops_ingest;
grant execute on function raw_ops.store_dispatch_file(text,bytea,bytea) to rawops_ingest, rawops_runtime;
grant execute on function raw_ops.store_missed_order(text,text) to rawops_runtime;
grant execute on function raw_ops.store_seal_webhook(text,text,text,text,bytea,text,boolean,text) to rawops_ingest;
grant execute on function raw_ops.store_shopify_webhooks(uuid[],text[],text[],text[],text[],timestamp with time zone[],text[],text[],bytea[],bytea[],bigint[],text[],boolean[],text[]) to rawops_ingest;
grant execute on function raw_ops.store_temperature_log(text,text,bytea,bytea) to rawops_ingest;
grant execute on function raw_ops.store_untold_parts(timestamp with time zone,timestamp with time zone) to rawops_runtime;
grant execute on function raw_ops.subscription_figures(uuid) to rawops_runtime;
grant execute on function raw_ops.sweep_address_changes(integer) to rawops_runtime;
grant execute on function raw_ops.sweep_messages(integer) to rawops_runtime;
grant execute on function raw_ops.sync_address_change(uuid,uuid) to rawops_ingest, rawops_operator, rawops_runtime;
grant execute on function raw_ops.take_delivery_report(text,text,timestamp with time zone,text,uuid,text,text,boolean,text) to rawops_ingest;
grant execute on function raw_ops.tell_of_breach(raw_ops.shipments,text,text) to rawops_runtime;
grant execute on function raw_ops.tell_of_changed_lines(uuid,text,raw_ops.order_status,text,uuid) to rawops_runtime;
grant execute on function raw_ops.tell_of_late_change(uuid,text,text,uuid) to rawops_runtime;
grant execute on function raw_ops.tell_of_late_end(uuid,text,uuid) to rawops_runtime;
grant execute on function raw_ops.threshold(text) to rawops_operator, rawops_reader, rawops_runtime;
grant execute on function raw_ops.today() to rawops_operator, rawops_reader, rawops_runtime;
grant execute on function raw_ops.unknown_dispatch_files(text[]) to rawops_runtime;
grant execute on function raw_ops.uuid_generate_v4() to rawops_runtime;
grant execute on function raw_ops.vat_standard_rate() to rawops_runtime;
grant execute on function raw_ops.wake_for_freed(jsonb,jsonb) to rawops_runtime;
grant execute on function raw_ops.wake_waiting_orders(uuid) to rawops_runtime;
grant execute on function raw_ops.wake_waiting_orders(uuid[]) to rawops_runtime;
grant execute on function raw_ops.warn_of_dispatch_rows(integer) to rawops_runtime;
grant execute on function raw_ops.warn_of_unknown_messages() to rawops_runtime;
grant execute on function raw_ops.watch_allocation_queue() to rawops_runtime;
grant execute on function raw_ops.webhook_kind(text,text) to rawops_runtime;
grant execute on function raw_ops.webhooks_to_retry(integer) to rawops_runtime;
grant execute on function raw_ops.whole_number(text) to rawops_runtime;
grant execute on function raw_ops.xor_block(bytea,integer) to rawops_runtime;
