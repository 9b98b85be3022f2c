-- Lines that Shopify changes when an order has its stock, or when the packer has it, are left as they are, and people are told:
-- what is packed is not what the customer wants any more. Until now that was an event which nobody reads.
--
-- Every document after the change says so again, so people are told once of each difference, and once more when the packer has it.
-- Locks: none but for the functions that are replaced. At run time: the alert's key; the caller holds the order.

-- How the lines of a document differ from those that were kept, in words; null when they do not.
create function raw_ops.shopify_item_changes(payload jsonb, saved_order uuid) returns text
language sql stable
as $$
    select left(string_agg(
        format('%s is %s and was %s', coalesce(i.sku, raw_ops.shopify_text(l.line, 'sku'), i.product_name, raw_ops.shopify_text(l.line, 'title'),
            'line ' || coalesce(l.line_id, i.shopify_line_item_id)), coalesce(l.qty, 0), coalesce(i.qty, 0)),
        ', ' order by coalesce(l.line_id, i.shopify_line_item_id)), 500)
    from raw_ops.shopify_live_lines(payload, false) l
    full join (select * from raw_ops.order_items
               where order_id = saved_order and shopify_line_item_id is not null) i
        on i.shopify_line_item_id = l.line_id
    where i.qty is distinct from l.qty
$$;

drop function raw_ops.shopify_items_differ(jsonb, uuid);

-- Whether a document has more of a line than was kept, or a line that was not.
create function raw_ops.shopify_wants_more(payload jsonb, saved_order uuid) returns boolean
language sql stable
as $$
    select exists (
        select from raw_ops.shopify_live_lines(payload, false) l
        left join raw_ops.order_items i on i.order_id = saved_order and i.shopify_line_item_id = l.line_id
        where l.qty > coalesce(i.qty, 0)
    )
$$;

-- As 0160; one that is not at the packer yet is no emergency.
create or replace function raw_ops.tell_of_late_change(late_order uuid, kind text, message text, inbox_id uuid) returns void
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

-- Tells people once of lines that changed too late, `differs` in words.
create function raw_ops.tell_of_changed_lines(changed_order uuid, label text, status raw_ops.order_status, differs text, inbox_id uuid) returns void
language plpgsql
as $$
declare
    words text := format('Shopify changed the lines of order %s when it was %s already, and they were left as they are: %s. %s',
        label, status, differs, case status when 'EXPORTED' then 'Tell the packer, or stop it' else 'Mend it before it goes to the packer' end);
begin
    -- Events know of each telling, whatever became of its case.
    if not exists (select from raw_ops.ops_events e
                   where e.entity_id = changed_order and e.kind = 'order_changed_late' and e.message = words) then
        perform raw_ops.tell_of_late_change(changed_order, 'order_changed_late', words, inbox_id);
    end if;
end
$$;

-- As 0018, and people are told of what changed.
create or replace function raw_ops.settle_shopify_items(payload jsonb, old raw_ops.orders, saved_order uuid, new_status raw_ops.order_status, inbox_id uuid) returns void
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
        return;
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
