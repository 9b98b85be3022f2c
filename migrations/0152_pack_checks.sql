-- What packers say of a box: how far its weight is from what it should be, and whether it was packed as it had to be.
--
-- A row of pack_quality_checks, whoever inserts it, becomes a job that works out the variance and tells people of a box that was
-- packed wrong. Such a row stays as the packer wrote it but for the columns that are worked out.
-- Locks: share row exclusive on raw_ops.pack_quality_checks for a moment. At run time: the order's row, then the check's.

insert into raw_ops.config (key, value_numeric, description)
values ('packing.max_weight_variance_pct', 3, 'A box that is lighter or heavier by more percent than this was packed wrong')
on conflict (key) do nothing;

create trigger trg_enqueue_judge_check_new after insert on raw_ops.pack_quality_checks
referencing new table as new_rows for each statement
execute function raw_ops.enqueue_row('packing.judge_check', 'packing', 'check_id', 'id', '', '', 'true');

-- A check beside the instruction of its order, and what is allowed.
create function raw_ops.pack_check(wanted_check bigint)
returns table (
    expected_kg numeric, actual_kg numeric, started_at timestamptz, completed_at timestamptz, logger_activated boolean,
    void_fill_complete boolean, visual_check_pass boolean, instruction_id bigint, logger_required boolean, most_pct numeric)
language sql stable
as $$
    select c.expected_total_weight_kg, c.actual_weight_kg, c.pack_started_at, c.pack_completed_at, coalesce(c.logger_activated, false),
        coalesce(c.void_fill_complete, false), coalesce(c.visual_check_pass, false), p.id, coalesce(p.logger_required, false),
        raw_ops.threshold('packing.max_weight_variance_pct')
    from raw_ops.pack_quality_checks c
    left join raw_ops.packing_instructions p
        on p.id = coalesce(c.packing_instruction_id, (select i.id from raw_ops.packing_instructions i where i.order_id = c.order_id))
    where c.id = wanted_check
$$;

-- Writes down what was found of a box. `faults` are sentences; none of them means that it was packed right, which settles what
-- an earlier check of its order found.
create function raw_ops.settle_pack_check(judged bigint, variance_kg numeric, variance_pct numeric, seconds integer, faults text[])
returns void
language plpgsql
as $$
declare
    checked raw_ops.pack_quality_checks;
    words text := array_to_string(faults, '; ');
begin
    perform from raw_ops.orders o
    where o.id = (select c.order_id from raw_ops.pack_quality_checks c where c.id = judged) for no key update;
    update raw_ops.pack_quality_checks c
    set weight_variance_kg = settle_pack_check.variance_kg, weight_variance_pct = settle_pack_check.variance_pct,
        pack_time_seconds = coalesce(seconds, c.pack_time_seconds),
        packing_instruction_id = coalesce(c.packing_instruction_id,
            (select i.id from raw_ops.packing_instructions i where i.order_id = c.order_id)),
        shopify_order_id = coalesce(c.shopify_order_id, (select o.shopify_order_id from raw_ops.orders o where o.id = c.order_id))
    where c.id = judged
    returning * into checked;
    if words = '' then
        update raw_ops.exceptions_queue e set resolved = true, resolved_at = engine.now(), resolved_by = 'packing.judge_check'
        where e.order_id = checked.order_id and e.issue_type = 'packed_wrong' and not e.resolved
          and (e.raw_data ->> 'check_id')::bigint < judged;
        return;
    end if;
    insert into raw_ops.exceptions_queue (order_id, issue_type, issue_description, raw_data, created_at)
    select checked.order_id, 'packed_wrong', words, jsonb_build_object('check_id', judged, 'packed_by', checked.packed_by), engine.now()
    where checked.order_id is not null
      and not exists (
          select from raw_ops.exceptions_queue e
          where e.order_id = checked.order_id and e.issue_type = 'packed_wrong' and (e.raw_data ->> 'check_id')::bigint = judged);
    perform from raw_ops.raise_alert('warning', 'A box was packed wrong',
        format('Order %s, packed by %s: %s', coalesce(checked.shopify_order_id, checked.order_id::text, 'unknown'), checked.packed_by, words),
        key => 'pack check ' || judged, source_check => 'packing');
end
$$;
