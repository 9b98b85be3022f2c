-- Who may do what: all of it, stated from nothing. Run after every migration, in its transaction, where the roles exist.
--
-- A new table is read by readers and worked on by the runtime; a new function is called by the runtime and by nobody else.
-- Whatever should be otherwise is said here. tests/roles/rules.rs says it a second time, name by name, and
-- a test compares.
-- Locks: none, except that what this user owns is handed over to rawops_owner once, under access exclusive locks.

-- The owner makes what migrations bring, and the migrator acts as the owner, of which it is a member.
do $$
declare
    of_history regnamespace;
begin
    if has_database_privilege(current_user, current_database(), 'create with grant option') then
        execute format('grant create on database %I to rawops_owner', current_database());
    end if;
    select c.relnamespace into of_history from pg_class c where c.oid = to_regclass('_sqlx_migrations');
    if has_schema_privilege(current_user, of_history::oid, 'create with grant option') then
        execute format('grant create on schema %s to rawops_owner', of_history);
    end if;
end
$$;

-- Hand over what this migration made. What another user owns stays its own: it migrates with that user's rights.
do $$
declare
    made record;
begin
    if not pg_has_role(current_user, 'rawops_owner', 'usage') then
        return;
    end if;
    for made in
        select format('alter schema %I owner to rawops_owner', n.nspname) as statement
        from pg_namespace n
        where n.nspname in ('engine', 'raw_ops') and n.nspowner = current_user::regrole
        union all
        -- A sequence of a column goes with its table.
        select format('alter %s %s owner to rawops_owner',
            case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence' else 'table' end, c.oid::regclass)
        from pg_class c
        where (c.relnamespace in (to_regnamespace('engine'), to_regnamespace('raw_ops'))
            or (c.oid = to_regclass('_sqlx_migrations') and has_schema_privilege('rawops_owner', c.relnamespace, 'create')))
          and c.relowner = current_user::regrole and c.relkind in ('r', 'p', 'v', 'm', 'S')
          and not exists (select from pg_depend d where d.objid = c.oid and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i') and c.relkind = 'S')
        union all
        select format('alter routine %s owner to rawops_owner', p.oid::regprocedure)
        from pg_proc p
        where p.pronamespace in (to_regnamespace('engine'), to_regnamespace('raw_ops')) and p.proowner = current_user::regrole
        union all
        select format('alter type %s owner to rawops_owner', t.oid::regtype)
        from pg_type t
        where t.typnamespace in (to_regnamespace('engine'), to_regnamespace('raw_ops')) and t.typowner = current_user::regrole
          and t.typtype in ('e', 'd')
    loop
        execute made.statement;
    end loop;
end
$$;

-- Nothing is left of what an earlier version granted.
revoke all on all tables in schema engine, raw_ops from rawops_migrator, rawops_runtime, rawops_ingest, rawops_operator, rawops_reader;
revoke all on all sequences in schema engine, raw_ops from rawops_migrator, rawops_runtime, rawops_ingest, rawops_operator, rawops_reader;
revoke all on all routines in schema engine, raw_ops from rawops_migrator, rawops_runtime, rawops_ingest, rawops_operator, rawops_reader;

-- Everybody: see the schemas' names, compare the schema's version with the program's, ask for the time.
grant usage on schema engine, raw_ops to rawops_runtime, rawops_ingest, rawops_operator, rawops_reader;
grant select on _sqlx_migrations to rawops_runtime, rawops_ingest, rawops_operator, rawops_reader;
grant execute on function engine.now() to rawops_ingest, rawops_operator, rawops_reader;

-- Readers and operators: look at everything but keys and what lets its bearer act as a customer.
grant select on all tables in schema engine, raw_ops to rawops_reader, rawops_operator;
revoke select on raw_ops.portal_sessions, raw_ops.calculator_tokens, raw_ops.server_key from rawops_reader, rawops_operator;
revoke select on raw_ops.api_tokens from rawops_reader;
grant select on all sequences in schema engine, raw_ops to rawops_reader, rawops_operator;
grant execute on function raw_ops.get_low_stock_alerts, raw_ops.get_current_inventory_for_reconciliation, raw_ops.get_daily_snapshot,
    raw_ops.threshold, raw_ops.today, raw_ops.first_expiry, raw_ops.free_batches, raw_ops.order_needs, raw_ops.orders_of_day,
    raw_ops.shipments_of_day, raw_ops.open_work to rawops_reader, rawops_operator;

-- Operators: settings, which are data, and the functions that change the state of jobs, stock and batches.
grant insert, update, delete on engine.limit_setting, engine.queue, engine.retry_override, engine.retry_config, raw_ops.retry_config to rawops_operator;
grant update (paused) on engine.lane to rawops_operator;
grant update (share, at_least, window_ms, categories, cooldown_ms, cooldown_most_ms, changed_at, changed_by) on engine.breaker to rawops_operator;
grant insert, update on raw_ops.api_tokens, engine.schedule to rawops_operator;
grant update on engine.retention to rawops_operator;
-- By the triggers that keep the policy.
grant insert on engine.retry_policy_history to rawops_operator;
grant execute on function engine.error_categories, engine.retry_policy_fault, engine.limit_of_key, engine.keys_are_alike,
    engine.rate_step, engine.rate_owed, engine.rate_left, engine.rate_after, engine.rate_wait, engine.checked_name to rawops_operator, rawops_reader;
grant execute on function engine.ask_cancel, engine.cancel_waiting, engine.requeue_letter, engine.requeue_letters, engine.discard_letter, engine.run_schedule,
    engine.pause_work, engine.resume_work, engine.hold_breaker, engine.count_permits, engine.give_back_kept, engine.restart_workflow, raw_ops.retry_failed_webhooks, raw_ops.execute_manual_inventory_adjustment, raw_ops.release_batch,
    raw_ops.resolve_message, raw_ops.resolve_export, raw_ops.close_privacy_request, raw_ops.raise_alert, raw_ops.clear_alert, raw_ops.sync_address_change,
    raw_ops.call_off_address_change, raw_ops.resolve_stopped_order to rawops_operator;

-- The runtime: the work of the business on every table of it.
grant select, insert, update, delete on all tables in schema raw_ops to rawops_runtime;
grant usage, select on all sequences in schema engine, raw_ops to rawops_runtime;
grant execute on all routines in schema engine, raw_ops to rawops_runtime;
-- Dead letters are written through the engine's view, and workers do not decide what follows a failure.
revoke insert, update, delete on raw_ops.retry_config, raw_ops.dead_letter_queue from rawops_runtime;
revoke all on raw_ops.server_key from rawops_runtime;
-- Written by the triggers of the tables it tells of.
revoke insert, update, delete on raw_ops.customer_figures, raw_ops.customer_figures_due from rawops_runtime;
revoke execute on function raw_ops.call_customer_figures, raw_ops.lock_customer_figures, raw_ops.refresh_customer_figures from rawops_runtime;
-- Tokens of callers over HTTP: looked up and their use noted; made and ended by operators.
revoke insert, delete on raw_ops.api_tokens from rawops_runtime;
-- Audit trails: written once, never changed.
revoke update, delete on raw_ops.batch_status_history, raw_ops.inventory_movements, raw_ops.manual_override_audit from rawops_runtime;
-- The ledger: written once, never changed. `update` on ready, scheduled, claim and unique_key is what their row locks ask for.
grant select on all tables in schema engine to rawops_runtime;
grant insert on engine.job, engine.attempt, engine.lane, engine.dead_letter_queue to rawops_runtime;
grant insert, delete on engine.idle to rawops_runtime;
grant update, delete on engine.unique_period to rawops_runtime;
grant insert, update, delete on engine.unique_key, engine.ready, engine.scheduled, engine.claim, engine.worker, engine.enqueue_key to rawops_runtime;
grant insert, update on engine.leader, engine.lookout, engine.watch to rawops_runtime;
grant insert, update, delete on engine.waiting, engine.slot, engine.permit, engine.pace to rawops_runtime;
-- What the program says of limits, where operators have said nothing.
grant insert, update on engine.limit_setting to rawops_runtime;
-- What programs say of their kinds.
grant insert, update on engine.kind to rawops_runtime;
-- What programs say of outside systems, and what workers find out about them.
grant insert, update on engine.breaker to rawops_runtime;
grant insert, update, delete on engine.breaker_kind, engine.breaker_count to rawops_runtime;
grant insert, update, delete on engine.notice to rawops_runtime;
grant delete on engine.cancel_request to rawops_runtime;
grant insert, update, delete on engine.progress, engine.log_line to rawops_runtime;
-- Workflows. `update` on parked, event and event_wait is what their row locks ask for.
grant insert, update, delete on engine.step, engine.topic, engine.event_wait, engine.parked to rawops_runtime;
grant update, delete on engine.event to rawops_runtime;
grant insert, delete on engine.child, engine.child_end to rawops_runtime;
grant insert, update, delete on engine.compensation to rawops_runtime;
grant insert on engine.aftermath to rawops_runtime;
-- Events are emitted by whoever may call this; it acts with its owner's rights.
grant execute on function engine.emit, engine.await_standby to rawops_ingest, rawops_operator;
grant insert, update on engine.schedule, engine.duty to rawops_runtime;
grant insert, delete on engine.occurrence to rawops_runtime;
-- What persons decide, what drops partitions, and what faces the internet is not the workers' to call.
revoke execute on function engine.ask_cancel, engine.cancel_waiting, engine.lock_letter, engine.requeue_letter, engine.requeue_letters, engine.discard_letter,
    engine.stop_children, engine.enqueue_unwind, engine.inherit_steps, engine.restart_workflow, engine.pause_work, engine.resume_work, engine.hold_breaker, engine.run_schedule, engine.retire_partition,
    engine.forget_ended_in, engine.is_wanted,
    engine.take_over_unique_key, engine.keep_retry_policy, raw_ops.execute_manual_inventory_adjustment,
    raw_ops.store_shopify_webhooks, raw_ops.store_seal_webhook, raw_ops.store_courier_event, raw_ops.store_temperature_log, raw_ops.take_delivery_report, raw_ops.resolve_message,
    raw_ops.resolve_export, raw_ops.close_privacy_request, raw_ops.call_off_address_change, raw_ops.resolve_stopped_order from rawops_runtime;

-- The HTTP process: new rows of the inboxes, and figures for /metrics without the jobs behind them.
grant insert on raw_ops.webhook_inbox, raw_ops.seal_webhook_inbox to rawops_ingest;
grant execute on function raw_ops.store_shopify_webhooks, raw_ops.store_seal_webhook, raw_ops.store_courier_event, raw_ops.store_temperature_log, raw_ops.store_dispatch_file, raw_ops.take_delivery_report,
    raw_ops.raise_alert, raw_ops.clear_alert, raw_ops.retry_failed_webhooks, raw_ops.sync_address_change to rawops_ingest;
grant select on engine.queue_figures, engine.attempt_figures, engine.place_figures, engine.duty_health, engine.breaker_figures to rawops_ingest;
grant execute on function engine.measure_figures to rawops_ingest;

-- Numbered partitions are reached through their parents, also those that are made between two migrations. The views of the
-- business are for reading. Trigger functions need no right to be called: whoever had it could hang one on another table.
do $$
declare
    statement text;
begin
    for statement in
        select format('revoke all on %s from rawops_runtime, rawops_operator, rawops_reader', i.inhrelid::regclass)
        from pg_inherits i
        where i.inhparent in ('engine.job'::regclass, 'engine.attempt'::regclass)
          and i.inhrelid not in ('engine.job_kept'::regclass, 'engine.attempt_kept'::regclass)
        union all
        select format('revoke insert, update, delete on %s from rawops_runtime', c.oid::regclass)
        from pg_class c
        where c.relnamespace = 'raw_ops'::regnamespace and c.relkind in ('v', 'm')
        union all
        select format('revoke all on function %s from rawops_runtime', p.oid::regprocedure)
        from pg_proc p
        where p.pronamespace in ('engine'::regnamespace, 'raw_ops'::regnamespace) and p.prorettype = 'trigger'::regtype
    loop
        execute statement;
    end loop;
end
$$;
