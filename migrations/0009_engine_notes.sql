-- What a running job says of itself: how far it is, and the last lines of its log. The job's row stays as it is.
--
-- Both are bounded: one row of progress a job, and of the log what engine/sql/note keeps of each job.
-- Locks: creates new objects only.

create table engine.progress (
    job_id bigint primary key,
    attempt integer not null,
    done bigint not null check (done >= 0),
    total bigint check (total >= 0),
    note text,
    updated_at timestamptz not null
) with (fillfactor = 70);
comment on table engine.progress is 'How far a job is, by its own word. Kept until the job''s partition goes.';

create table engine.log_line (
    job_id bigint not null,
    position bigint not null,
    attempt integer not null,
    logged_at timestamptz not null,
    line text not null,
    primary key (job_id, position)
);
comment on table engine.log_line is 'The last lines that each job logged.';
