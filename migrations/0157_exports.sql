-- Exports: orders whose stock is reserved become a file for the packer, which gets it once.
--
-- A batch and what it makes of its orders are one commit, and from then on nothing changes its lines: whoever ends an order
-- later is told to stop it at the packer. The file's name follows from the batch and its hash is kept, so that sending it
-- again is the same act: the drop knows the name and the hash, and a worker that died in between harms nothing.
-- An order's export_state is null, `review` while a field of it may not be written, `queued` in a batch, `exported` when the
-- drop has the file, `acked` when the packer has read it, `ended` when it left its batch and Shopify had ended it meanwhile.
-- Locks: access exclusive on raw_ops.export_outbox, share on raw_ops.orders while its names at the packer are indexed, share
-- row exclusive on raw_ops.dead_letter_queue. At run time: the name of the day's batches, orders, the batch's row.

alter table raw_ops.export_outbox
    add column file_name text,
    add column file_sha256 text check (file_sha256 ~ '^[0-9a-f]{64}$'),
    add column manifest_version text;
comment on column raw_ops.export_outbox.file_name is 'Follows from the batch and the version: the same when it is sent again.';
comment on column raw_ops.export_outbox.file_sha256 is 'Of the bytes that csv_data gives in this version.';
create unique index export_outbox_file on raw_ops.export_outbox (file_name) where file_name is not null;
create unique index orders_external_order_ref on raw_ops.orders (external_order_ref) where external_order_ref is not null;
comment on column raw_ops.orders.export_state is
    'Null, review, queued (in a batch), exported (the drop has it), acked (the packer has read it), ended.';
comment on column raw_ops.orders.external_order_ref is 'The order''s name at the packer.';

insert into raw_ops.config (key, value_numeric, description)
values ('export.needs_packing_instructions', 1, 'Whether an order waits for the packing instruction of the day before it goes to the packer: 1 or 0')
on conflict (key) do nothing;

create trigger trg_enqueue_send_file after update of status on raw_ops.export_outbox
for each row when (new.status = 'pending')
execute function raw_ops.enqueue_row('export.send_file', 'export', 'export_id', 'id');
create trigger trg_enqueue_send_file_new after insert on raw_ops.export_outbox
referencing new table as new_rows for each statement
execute function raw_ops.enqueue_row('export.send_file', 'export', 'export_id', 'id', '', '', 'status = ''pending''');

create trigger mark_export_failed
after insert on raw_ops.dead_letter_queue
for each row when (new.topic = 'export.send_file')
execute function raw_ops.follow_dead_letter($update$
    update raw_ops.export_outbox set status = 'failed', error_message = ($1).error_message
    where id = (($1).payload ->> 'export_id')::uuid and status in ('pending', 'sending', 'sent')
$update$);

-- The name of the next batch: the day in London, numbered from the second one on.
-- Locks: exports, for the transaction: of two that collect at once the second finds what the first has left.
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

-- What is to be packed for the orders that wait longest, a line a batch; an order without any has one line without a batch.
-- Locks: the orders.
create function raw_ops.lines_to_export(max_orders integer)
returns table (
    order_id uuid, order_ref text, ship_name text, ship_phone text, ship_address1 text, ship_address2 text, ship_city text,
    ship_postcode text, ship_country text, sku text, batch_code text, quantity bigint, box_size text, insulation text,
    pcm_packs smallint, logger_required boolean, deliver_on date
)
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
              where p.order_id = o.id and (p.pack_on is null or p.pack_on = raw_ops.today() or p.calculated_by <> 'automated')))
        order by o.export_state is not null, o.ordered_at, o.id limit max_orders for no key update);
    -- A statement of its own, so that it sees what the holders before have written.
    return query
        with named as (
            select o.*, 'PR' || coalesce(o.order_number_label, o.shopify_order_id) as wanted,
                count(*) over (partition by coalesce(o.order_number_label, o.shopify_order_id)) as namesakes
            from raw_ops.orders o where o.id = any (chosen)
        )
        select n.id,
            coalesce(n.external_order_ref, case
                when n.namesakes = 1 and not exists (select from raw_ops.orders x where x.external_order_ref = n.wanted) then n.wanted
            end, 'PR-' || n.id),
            n.ship_name, n.ship_phone, n.ship_address1, n.ship_address2, n.ship_city, n.ship_postcode, n.ship_country,
            a.sku, a.batch_code, a.units, i.box_size::text, i.insulation_type::text, i.pcm_packs_count, i.logger_required,
            i.deliver_on
        from named n
        left join lateral (
            select p.sku, b.batch_code, sum(f.units)::bigint as units
            from raw_ops.open_allocations(n.id) f
            join raw_ops.batches b on b.id = f.batch_id
            left join raw_ops.products p on p.id = f.product_id
            group by p.sku, b.batch_code
        ) a on true
        left join raw_ops.packing_instructions i on i.order_id = n.id
        order by n.ordered_at, n.id, a.sku collate "C", a.batch_code collate "C";
end
$$;

-- Keeps a batch, whose job its trigger makes, and says so on its orders.
create function raw_ops.keep_export(
    batch_id text, orders uuid[], refs text[], document jsonb, file_name text, file_sha256 text, version text
) returns uuid
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

-- Keeps orders out of a batch until a person has mended them: each export looks again. Returns how many people hear of now.
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

-- Begins to send a batch. `step` is `send`, `confirm` when the drop has the file, else the state it is in, or `gone`.
-- Locks: the row.
create function raw_ops.begin_export(export_id uuid)
returns table (step text, batch_id text, version text, file_sha256 text, document text)
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

-- Says of a batch that the drop has its file (`sent`), or that the packer has read it (`confirmed`), and of its orders.
-- Returns the state that holds then: what a person has decided meanwhile stands.
-- Locks: the row, its orders.
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

-- A person decides what becomes of a batch that nothing is sending: `pending` has it sent again, `confirmed` says that the
-- packer has it, `cancelled` that he has it not and never will, so that its orders go into the next one. Returns the state
-- it was in. Errors: P0002 when there is none, 22023 when it does not become that.
-- Locks: the row, its orders.
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
        update raw_ops.export_outbox e set status = decision where e.id = export_id;
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
