-- The seven monitors. Each looks once and answers in one shape; it writes nothing and sends nothing.
--
--   {"check", "status": ok | warning | critical, "alert_triggered", "channel", "severity": info | warning | critical,
--    "title", "message", "fields": [{"label", "value", "inline"}], "metrics": {…}}
-- channel, severity, title, message and fields are what the alerter takes; channel is null when nothing is to be said.
-- A limit is what is still right: a monitor warns when a number is beyond it. The numbers are those of the views, so a
-- person who looks sees what the monitor saw.
-- Locks: creates new objects only.

-- The answer of a monitor. Its fields are its metrics, in their order.
create function raw_ops.monitor_answer(check_name text, status text, title text, message text, metrics json) returns jsonb
language sql immutable parallel safe
as $$
    select jsonb_build_object(
        'check', check_name, 'status', status, 'alert_triggered', status <> 'ok',
        'channel', case status when 'critical' then 'ops-urgent' when 'warning' then 'ops-alerts' end,
        'severity', case status when 'ok' then 'info' else status end,
        'title', title, 'message', message, 'metrics', metrics,
        'fields', coalesce((
            select jsonb_agg(jsonb_build_object('label', upper(left(m.key, 1)) || replace(substr(m.key, 2), '_', ' '),
                'value', coalesce(m.value, 'none'), 'inline', true) order by m.place)
            from json_each_text(metrics) with ordinality m (key, value, place)), '[]'))
$$;

-- Minutes since a time, to a tenth; 0 for none.
create function raw_ops.minutes_since(at timestamptz) returns numeric
language sql volatile
as $$ select coalesce(round(extract(epoch from engine.now() - at) / 60, 1), 0) $$;

-- The complaints that hold, one sentence; null when none does.
create function raw_ops.complaints(variadic said text[]) returns text
language sql immutable parallel safe
as $$ select nullif(array_to_string(said, '; '), '') $$;

create function raw_ops.fn_check_order_ingestion_slo_v2() returns jsonb
language plpgsql
as $$
declare
    waiting bigint;
    oldest_minutes numeric;
    p95_ms integer;
    max_ms integer;
    said text;
begin
    select q.depth, raw_ops.minutes_since(q.oldest_received_at) into waiting, oldest_minutes from raw_ops.v_retry_queue_depth q;
    select percentile_disc(0.95) within group (order by i.processing_duration_ms), max(i.processing_duration_ms) into p95_ms, max_ms
    from raw_ops.webhook_inbox i
    where i.processing_status = 'success' and i.processed_at > (select engine.now()) - interval '1 hour';

    said := raw_ops.complaints(
        case when waiting > raw_ops.threshold('order_ingestion.max_waiting') then waiting || ' webhooks wait' end,
        case when oldest_minutes > raw_ops.threshold('order_ingestion.max_age_minutes')
            then 'the oldest has waited ' || oldest_minutes || ' minutes' end,
        case when p95_ms > raw_ops.threshold('order_ingestion.max_p95_ms') then '5 % take longer than ' || p95_ms || ' ms' end,
        case when max_ms > raw_ops.threshold('order_ingestion.max_ms') then 'the slowest took ' || max_ms || ' ms' end);
    return raw_ops.monitor_answer('order_ingestion_slo', case when said is null then 'ok' else 'warning' end,
        'Order ingestion', coalesce(said, 'orders come in as they should'),
        json_build_object('waiting', waiting, 'oldest_minutes', oldest_minutes, 'p95_ms', p95_ms, 'max_ms', max_ms));
end
$$;

create function raw_ops.fn_check_outbox_health_v2() returns jsonb
language plpgsql
as $$
declare
    pending bigint;
    oldest_minutes numeric;
    failed bigint;
    unknown bigint;
    said text;
begin
    select o.pending, raw_ops.minutes_since(o.oldest_pending_at), o.failed, o.unknown
    into pending, oldest_minutes, failed, unknown
    from raw_ops.v_outbox_health o;

    said := raw_ops.complaints(
        case when pending > raw_ops.threshold('outbox.max_pending') then pending || ' messages are unsent' end,
        case when oldest_minutes > raw_ops.threshold('outbox.max_age_minutes')
            then 'the oldest has waited ' || oldest_minutes || ' minutes' end,
        case when failed > 0 then failed || ' failed for good' end,
        case when unknown > 0 then unknown || ' may have been sent or not and need a person' end);
    return raw_ops.monitor_answer('outbox_health', case when said is null then 'ok' else 'warning' end,
        'Outbox', coalesce(said, 'messages go out as they should'),
        json_build_object('pending', pending, 'oldest_minutes', oldest_minutes, 'failed', failed, 'unknown', unknown));
end
$$;

create function raw_ops.fn_check_stock_levels_v2() returns jsonb
language plpgsql
as $$
declare
    low bigint;
    critical bigint;
    drifted bigint;
    names text;
    said text;
begin
    select count(*), count(*) filter (where a.severity = 'critical'),
        string_agg(a.sku || ' has ' || a.units_available || case when a.units_waiting > 0
            then ' and ' || a.units_waiting || ' are waited for' else '' end, ', ')
    into low, critical, names from raw_ops.get_low_stock_alerts() a;
    select count(*) into drifted from raw_ops.get_current_inventory_for_reconciliation() r where abs(r.drift_kg) > 0.001;

    said := raw_ops.complaints(names, case when drifted > 0 then drifted || ' batches differ from inventory' end);
    return raw_ops.monitor_answer('stock_levels',
        case when critical > 0 then 'critical' when said is not null then 'warning' else 'ok' end,
        'Stock', coalesce(said, 'every product has stock'),
        json_build_object('low_products', low, 'critical_products', critical, 'drifted_batches', drifted));
end
$$;

create function raw_ops.fn_check_lab_sla_v2() returns jsonb
language plpgsql
as $$
declare
    days numeric := raw_ops.threshold('lab_sla.max_days');
    held bigint;
    late bigint;
    codes text;
begin
    select count(*), count(*) filter (where t.is_late), string_agg(t.batch_code, ', ' order by t.held_since) filter (where t.is_late)
    into held, late, codes
    from raw_ops.v_lab_sla_tracking t where t.status = 'QA_HOLD' and t.lab_result_id is null;
    return raw_ops.monitor_answer('lab_sla', case when late > 0 then 'warning' else 'ok' end, 'Lab results',
        case when late > 0 then format('no lab result after %s days: %s', days, codes) else 'no lab result is late' end,
        json_build_object('awaiting_result', held, 'late', late));
end
$$;

create function raw_ops.fn_check_working_capital_v2() returns jsonb
language plpgsql
as $$
declare
    held bigint;
    unpriced bigint;
    tied numeric;
    verdict text;
begin
    select m.batches, m.batches_without_cost, m.held_gbp into held, unpriced, tied from raw_ops.v_working_capital_metrics m;
    verdict := case when tied > raw_ops.threshold('working_capital.critical_gbp') then 'critical'
                    when tied > raw_ops.threshold('working_capital.warning_gbp') then 'warning' else 'ok' end;
    return raw_ops.monitor_answer('working_capital', verdict, 'Working capital',
        format('£%s are held in QA in %s batches%s', tied, held,
            case when unpriced > 0 then format(', %s of them without a cost', unpriced) else '' end),
        json_build_object('held_gbp', tied, 'batches', held, 'without_cost', unpriced));
end
$$;

create function raw_ops.fn_check_support_queue_v2() returns jsonb
language plpgsql
as $$
declare
    tickets bigint;
    oldest_hours numeric;
    escalated bigint;
    said text;
begin
    select count(*), round(raw_ops.minutes_since(min(t.created_at) filter (where t.status = 'pending')) / 60, 2)
    into tickets, oldest_hours
    from raw_ops.support_tickets t where t.status not in ('resolved', 'closed');
    select count(*) into escalated from raw_ops.escalation_queue e where e.processed_at is null;

    said := raw_ops.complaints(
        case when escalated > 0 then escalated || ' escalations wait for a person' end,
        case when tickets > raw_ops.threshold('support.max_open') then tickets || ' tickets are open' end,
        case when oldest_hours > raw_ops.threshold('support.max_age_hours')
            then 'the oldest has waited ' || oldest_hours || ' hours' end);
    return raw_ops.monitor_answer('support_queue',
        case when escalated > 0 then 'critical' when said is not null then 'warning' else 'ok' end,
        'Support', coalesce(said, 'tickets are answered as they should'),
        json_build_object('open', tickets, 'oldest_hours', oldest_hours, 'escalations', escalated));
end
$$;

-- The digest of yesterday. It is always sent, to its own channel.
create function raw_ops.fn_daily_snapshot_v2() returns jsonb
language plpgsql
as $$
declare
    day jsonb := raw_ops.get_daily_snapshot();
begin
    return raw_ops.monitor_answer('daily_snapshot', 'ok', 'Daily operations, ' || (day ->> 'day'),
            format('%s orders, £%s; %s shipments left; %s orders wait for stock',
                day ->> 'orders', day ->> 'revenue_gbp', day ->> 'shipments_dispatched', day ->> 'orders_waiting'),
            day::json)
        || '{"alert_triggered": true, "channel": "daily-ops"}';
end
$$;
