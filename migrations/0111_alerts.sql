-- Alerts: one way to raise one, whoever does; its severity decides the channel, its key keeps it from being repeated.
--
-- An alert with a key is posted once and is then quiet for a window, however often it is raised: what comes meanwhile is
-- counted in one row, which is posted at the end of the window. A worse severity is posted at once. When what it tells of
-- is over, `clear_alert` says so, once, in the channel that was alarmed.
-- Locks: access exclusive on alert_log, for a moment; share row exclusive on dead_letter_queue, for a moment.

alter table raw_ops.alert_log
    add column repeats integer not null default 1 check (repeats > 0),
    add column is_recovery boolean not null default false;
comment on column raw_ops.alert_log.repeats is 'How often it was raised, as far as this row tells of it.';
comment on column raw_ops.alert_log.is_recovery is 'What the alert before it with this key told of is over.';

-- The rows of one window that wait to be told of.
create index alert_log_suppressed on raw_ops.alert_log (sent_at) where delivery_status = 'suppressed' and idempotency_key is not null;

insert into raw_ops.config (key, value_numeric, description)
values ('alerts.window_minutes', 15, 'An alert that was posted is not posted again for this time; its repetitions are counted and told after it')
on conflict (key) do nothing;

create trigger trg_enqueue_post_alert
after insert or update of delivery_status on raw_ops.alert_log
for each row when (new.delivery_status = 'pending')
execute function raw_ops.enqueue_row('alerts.post_alert', 'alerts', 'alert_id', 'id');

create trigger mark_alert_failed
after insert on raw_ops.dead_letter_queue
for each row when (new.topic = 'alerts.post_alert')
execute function raw_ops.follow_dead_letter($update$
    update raw_ops.alert_log set delivery_status = 'failed', delivery_response = ($1).error_message
    where id = (($1).payload ->> 'alert_id')::uuid and delivery_status = 'pending'
$update$);

-- The channel of a severity. Nobody chooses it otherwise.
create function raw_ops.alert_channel(severity text) returns text
language sql immutable
as $$ select case severity when 'critical' then 'ops-urgent' when 'warning' then 'ops-alerts' else 'daily-ops' end $$;

create function raw_ops.severity_rank(severity text) returns integer
language sql immutable
as $$ select array_position(array['info', 'warning', 'critical'], severity) $$;

create function raw_ops.alert_window() returns interval
language sql stable
as $$ select make_interval(mins => raw_ops.threshold('alerts.window_minutes')::integer) $$;

-- Raises an alert. Returns its row and what became of it: `queued` when it will be posted, `joined` when one that waits to
-- be posted tells of it too, `suppressed` when it is counted until the window is over.
-- Locks: the key, for the transaction; the key's row.
create function raw_ops.raise_alert(
    severity text, title text, message text, fields jsonb default '[]', key text default null, source_check text default null,
    run_id uuid default null, times integer default 1
) returns table (id uuid, outcome text)
language plpgsql
security definer
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

-- Says that what the alert of this key told of is over: in the channel that was alarmed, once. Returns the row of the
-- message; null when there is nothing to be over.
-- Locks: the key, for the transaction.
create function raw_ops.clear_alert(key text, title text, message text) returns uuid
language plpgsql
security definer
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
        return null;
    end if;
    -- What was only counted is over before anybody was told of it again.
    update raw_ops.alert_log a set idempotency_key = null where a.idempotency_key = clear_alert.key and a.delivery_status = 'suppressed';
    select * into told from raw_ops.alert_log a where a.idempotency_key = clear_alert.key order by a.sent_at desc, a.is_recovery desc limit 1;
    if told.id is null or told.is_recovery then
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

-- Writes down what came of a post: `words` null means that it stands in the channel. What was raised meanwhile is counted
-- from here on.
-- Locks: the row.
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

-- Has what was counted in a window that is over posted. Returns how many alerts that are.
-- Locks: the rows, skip locked.
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

-- Says of failing kinds that they fail no more: nothing was raised for a window, and no job of the kind waits for its next
-- attempt after a failure. Returns how many.
-- Locks: as raw_ops.clear_alert.
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

-- Warns of mails of which it is not known for too long whether they were sent. One alert, however many. Returns how many.
-- Locks: as raw_ops.raise_alert.
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
