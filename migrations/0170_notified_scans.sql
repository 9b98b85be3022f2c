-- A scan whose customer was told is found by its key: compared as text, each mail about a scan read all scans.
-- Locks: none.

-- As 0166.
create or replace function raw_ops.mark_sent(mail_id uuid, delivery text) returns void
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
