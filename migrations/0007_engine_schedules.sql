-- Recurring jobs: what operators changed of a schedule while the program ran, how far each has been dealt with, and
-- which job each occurrence made.
--
-- Why two tables: a schedule's row changes in place and there are few; an occurrence is a fact, inserted once, and its
-- key is why no occurrence makes two jobs, whoever leads and whatever the clock does.
-- Locks: creates new objects only.

create table engine.schedule (
    name text primary key check (name <> '' and length(name) <= 200),
    line text not null,
    done_to timestamptz not null default engine.now(),
    buffered timestamptz,
    problem text,
    paused boolean not null default false,
    cron text check (length(cron) <= 200),
    zone text,
    misfire text check (misfire ~ '^(skip|latest|all:([1-9][0-9]{0,2}|1000))$'),
    overlap text check (overlap in ('skip', 'allow', 'buffer')),
    jitter_s integer check (jitter_s between 0 and 86400),
    changed_at timestamptz,
    changed_by text,
    reason text,
    edits integer not null default 0
) with (fillfactor = 50);
comment on table engine.schedule is 'Each schedule that a program has: how far it has been dealt with, and what operators changed. Null: as the program has it.';
comment on column engine.schedule.line is 'The line and zone that the program has; when they change, occurrences count from that moment on.';
comment on column engine.schedule.done_to is 'Every occurrence up to here was fired, made good or let go.';
comment on column engine.schedule.buffered is 'The occurrence that waits for the end of the last job, when the overlap policy is buffer.';
comment on column engine.schedule.problem is 'Why it cannot fire, when it cannot.';
comment on column engine.schedule.edits is 'Counts the changes by operators.';

create table engine.occurrence (
    schedule text not null,
    occurrence timestamptz not null,
    fired_at timestamptz not null default engine.now(),
    job_id bigint,
    how text not null check (how in ('cron', 'manual', 'misfire')),
    by text,
    note text,
    primary key (schedule, occurrence)
);
create index occurrence_history on engine.occurrence (schedule, fired_at desc);
create index occurrence_job on engine.occurrence (schedule, fired_at desc) where job_id is not null;
comment on table engine.occurrence is 'Each time a schedule came, and the job that it made.';
comment on column engine.occurrence.job_id is 'Null when it made none; the note says why.';
comment on column engine.occurrence.by is 'Who asked for it, when it was run by hand.';
