-- The engine's retry policy and dead letters become the registry's tables.
--
-- The engine made its own for use without an application; from here on engine.retry_config and
-- engine.dead_letter_queue are views that can be written through (insert, update, delete and on conflict all reach
-- the table, and a column left out gets the table's default), so the engine never names this schema. Rows are
-- taken along: the policy that the engine starts with, and dead letters of an engine that ran alone before.
-- Locks: access exclusive on the two old tables, for moments; workers that settle a job wait.

lock table engine.retry_config, engine.dead_letter_queue in access exclusive mode;

insert into raw_ops.retry_config
    (error_category, max_attempts, backoff_seconds, alert_on_attempt, escalate_on_attempt, description, created_at, version)
select error_category, max_attempts, backoff_seconds, alert_on_attempt, escalate_on_attempt, description, engine.now(), version
from engine.retry_config;

insert into raw_ops.dead_letter_queue
    (id, source, topic, payload, error_message, retries, created_at, resolved, resolved_at, job_id, queue, category,
     fingerprint, attempts, priority, unique_key, limit_key, requeued_job_id, resolved_by, resolution)
select id, source, topic, payload, error_message, retries, created_at, resolved, resolved_at, job_id, queue, category,
    fingerprint, attempts, priority, unique_key, limit_key, requeued_job_id, resolved_by, resolution
from engine.dead_letter_queue;

drop table engine.retry_config;
drop table engine.dead_letter_queue;

create view engine.retry_config as
select error_category, max_attempts, backoff_seconds, alert_on_attempt, escalate_on_attempt, description, version
from raw_ops.retry_config;
comment on view engine.retry_config is 'The retry policy by error category.';

create view engine.dead_letter_queue as
select id, source, topic, payload, error_message, retries, created_at, resolved, resolved_at, job_id, queue, category,
    fingerprint, attempts, priority, unique_key, limit_key, requeued_job_id, resolved_by, resolution
from raw_ops.dead_letter_queue;
comment on view engine.dead_letter_queue is 'Jobs that ended without success and wait for a person.';
