-- Times of jobs that every program can read. PostgreSQL knows 'infinity' and the year 294276; programs that keep times in a
-- number of their own do not, and one such row of a producer or an operator ended each worker that claimed it, and each command
-- and request that listed it.
--
-- Locks: engine.job with its partitions, engine.scheduled and engine.worker, for a moment each: rows that are there are not looked at.

alter table engine.job
    add constraint deadline_is_from_the_year_1_to_9999
        check (deadline >= '0001-01-01 00:00:00+00' and deadline < '10000-01-01 00:00:00+00') not valid,
    add constraint created_at_is_from_the_year_1_to_9999
        check (created_at >= '0001-01-01 00:00:00+00' and created_at < '10000-01-01 00:00:00+00') not valid;

alter table engine.scheduled
    add constraint run_at_is_from_the_year_1_to_9999
        check (run_at >= '0001-01-01 00:00:00+00' and run_at < '10000-01-01 00:00:00+00') not valid;

alter table engine.worker
    add constraint lease_until_is_from_the_year_1_to_9999
        check (lease_until >= '0001-01-01 00:00:00+00' and lease_until < '10000-01-01 00:00:00+00') not valid;
