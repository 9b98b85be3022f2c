-- Messages out: rows of outbox and lifecycle_events become jobs, and what is known of a message is what its row says.
--
-- A mail may not be sent twice, and the vendor knows no repetition. So a row says `sending` before the request is made; it
-- goes back to `pending` only when the vendor certainly did nothing. When nobody can know, it is `unknown` and stays so
-- until the vendor's report, or a person, says what became of it: nothing sends it again by itself. Whoever sets a row to
-- `pending` has it sent; whoever sets one that is not on its way to `cancelled` calls it off.
-- Locks: share row exclusive on outbox, lifecycle_events and dead_letter_queue, for a moment.

create trigger trg_enqueue_deliver_message
after insert or update of state on raw_ops.outbox
for each row when (new.state = 'pending')
execute function raw_ops.enqueue_row('outbox.deliver_message', 'outbox', 'outbox_id', 'id');

create trigger trg_enqueue_track_event
after insert or update of status on raw_ops.lifecycle_events
for each row when (new.status = 'pending')
execute function raw_ops.enqueue_row('lifecycle.track_event', 'lifecycle', 'event_id', 'id', 'scheduled_for');

-- A job that died between the request and the answer leaves it open whether the mail went out.
create trigger mark_message_failed
after insert on raw_ops.dead_letter_queue
for each row when (new.topic = 'outbox.deliver_message')
execute function raw_ops.follow_dead_letter($update$
    update raw_ops.outbox
    set state = case state when 'sending' then 'unknown' else 'failed' end, error_message = ($1).error_message, updated_at = engine.now()
    where id = (($1).payload ->> 'outbox_id')::uuid and state in ('pending', 'sending', 'failed')
$update$);

create trigger mark_event_failed
after insert on raw_ops.dead_letter_queue
for each row when (new.topic = 'lifecycle.track_event')
execute function raw_ops.follow_dead_letter($update$
    update raw_ops.lifecycle_events set status = 'failed', last_error = ($1).error_message
    where id = (($1).payload ->> 'event_id')::uuid and status in ('pending', 'processing')
$update$);

alter table raw_ops.lifecycle_events add column customerio_event_id text;
comment on column raw_ops.lifecycle_events.customerio_event_id is
    'The ULID under which Customer.io knows the event; reports of the campaign it started name it.';
create unique index lifecycle_events_customerio_event on raw_ops.lifecycle_events (customerio_event_id)
    where customerio_event_id is not null;

-- What the vendor reported of mails, once an event.
create table raw_ops.delivery_reports (
    event_id    text primary key check (event_id <> ''),
    outbox_id   uuid references raw_ops.outbox on delete cascade,
    delivery_id text not null,
    metric      text not null,
    reported_at timestamptz not null,
    received_at timestamptz not null default now(),
    recipient   text,
    reason      text
);
comment on table raw_ops.delivery_reports is 'What Customer.io reported of mails of the outbox; campaigns are not kept.';
comment on column raw_ops.delivery_reports.outbox_id is 'The mail; null while it is not known which.';
comment on column raw_ops.delivery_reports.recipient is 'Only while it is not known which mail it was.';
create index delivery_reports_outbox on raw_ops.delivery_reports (outbox_id) where outbox_id is not null;
create index delivery_reports_open on raw_ops.delivery_reports (recipient, reported_at) where outbox_id is null;

create index outbox_open on raw_ops.outbox (lower(payload_json ->> 'to'), last_sent_at) where state in ('sending', 'unknown');

insert into raw_ops.config (key, value_numeric, description)
values ('outbox.unknown_minutes', 15, 'A mail of which it is not known whether it was sent is a warning after this time')
on conflict (key) do nothing;

-- Uses up the once-key of a mail about a billing date, where the row names one. What it names may be nonsense: a mail that
-- was sent is sent all the same.
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

-- Says of a mail that it was sent.
-- Locks: the row, which the caller holds.
create function raw_ops.mark_sent(mail_id uuid, delivery text) returns void
language plpgsql
as $$
declare
    mail raw_ops.outbox;
begin
    update raw_ops.outbox o
    set state = 'sent', delivery_id = coalesce(o.delivery_id, delivery), error_message = null, updated_at = engine.now()
    where o.id = mail_id
    returning o.* into mail;
    perform raw_ops.note_email_event(mail);
end
$$;

-- The one mail that a report without a name can be about: to this person, on its way or unknown at about that time. With
-- two of them it may be either, and with none it is somebody else's; null then.
create function raw_ops.mail_of_report(person text, at timestamptz) returns uuid
language sql stable
as $$
    select case when count(*) = 1 then (array_agg(o.id) filter (where o.state = 'unknown'))[1] end
    from raw_ops.outbox o
    where o.state in ('sending', 'unknown') and lower(o.payload_json ->> 'to') = lower(person)
      and o.last_sent_at between at - interval '1 hour' and at + interval '5 minutes'
$$;

-- Writes down that a mail is about to be sent. `step` is `send` when it is to be sent now; else the state it is in, or
-- `gone`. A row that says `sending` already was left so by a worker that stopped before it knew: it becomes `unknown`.
-- Locks: the row.
create function raw_ops.begin_message(mail_id uuid)
returns table (step text, target text, event_type text, payload jsonb)
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

-- Writes down what came of a request: `sent`, `unknown`, or `pending` when the vendor certainly did nothing. Returns the
-- state that holds now: what a report has said meanwhile stands.
-- Locks: the row.
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

-- What a report means for its mail. Whoever reports on a mail has had it; one that they gave up was not sent.
-- Locks: the row.
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

-- Stores a verified report and does what follows from it. Returns what it was: `duplicate`, `matched`, `unmatched`, or
-- `campaign`, of which only the delivery id of the event that started it is kept. The process that calls it faces the
-- internet, so it acts with its owner's rights and can do one thing.
-- Locks: the report's key; the mail's row.
create function raw_ops.take_delivery_report(
    report_id text, metric text, reported_at timestamptz, delivery text, mail_id uuid, trigger_event text, person text,
    is_transactional boolean, reason text
) returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    found_id uuid;
begin
    if not is_transactional then
        update raw_ops.lifecycle_events e set customerio_delivery_id = delivery
        where e.customerio_event_id = trigger_event and e.customerio_delivery_id is null;
        return 'campaign';
    end if;
    insert into raw_ops.delivery_reports (event_id, delivery_id, metric, reported_at, received_at, recipient, reason)
    values (report_id, delivery, metric, reported_at, engine.now(), lower(person), left(reason, 500))
    on conflict do nothing;
    if not found then
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

-- What a person decides about a mail: one that is unknown was `sent`, or is to be sent (`pending`); one that waits or failed
-- is to be sent, or called off (`cancelled`). Returns the state before.
-- Locks: the row.
create function raw_ops.resolve_message(mail_id uuid, decision text, decided_by text) returns text
language plpgsql
security definer
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

-- Writes down that an event was told, or why not: `words` null means that it was.
-- Locks: the row.
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

-- Rows that ask for work and have no job, as those that were filled in while rows became no jobs, get one; mails whose
-- job has gone while they were on their way become `unknown`. Returns how many of each. Row by row, so that one that
-- cannot be dealt with stops no other.
-- Locks: the rows, skip locked.
create function raw_ops.sweep_messages(max_rows integer default 500)
returns table (started integer, parked integer, refused integer)
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
