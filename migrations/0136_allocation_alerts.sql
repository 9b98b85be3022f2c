-- Alerts of the allocation queue: limits as rows of raw_ops.allocation_alert_config, what was told as rows of
-- raw_ops.allocation_alert_history, one that is open at most for each limit.
-- Locks: none that a reader or a writer would meet.

insert into raw_ops.allocation_alert_config (alert_type, threshold_value, description) values
    ('waiting_orders', 25, 'Orders that wait for stock: more than this is a warning'),
    ('oldest_wait_hours', 24, 'Hours that an order has waited for stock: more than this is critical'),
    ('failed_requests', 0, 'Requests for stock that failed for good: more than this is a warning')
on conflict (alert_type) do nothing;

create unique index allocation_alert_open on raw_ops.allocation_alert_history (alert_type) where resolved_at is null;

-- What the alerts are about, now.
create function raw_ops.allocation_figures() returns table (alert_type text, severity text, value numeric, message text)
language sql stable
as $$
    select f.alert_type, f.severity, f.value, f.message
    from (
        select count(distinct q.order_id) filter (where q.state = 'pending') as orders,
            raw_ops.minutes_since(min(q.created_at) filter (where q.state = 'pending')) / 60 as hours,
            count(*) filter (where q.state = 'failed') as failed
        from raw_ops.allocation_queue q
        where q.state in ('pending', 'failed')
    ) n
    cross join lateral (values
        ('waiting_orders', 'warning', n.orders::numeric, n.orders || ' orders wait for stock'),
        ('oldest_wait_hours', 'critical', coalesce(n.hours, 0), 'an order has waited ' || round(n.hours, 1) || ' hours for stock'),
        ('failed_requests', 'warning', n.failed::numeric, n.failed || ' requests for stock failed for good')
    ) f (alert_type, severity, value, message)
$$;

-- Compares the figures with their limits: what is beyond one is an alert, what is so no more is over. Returns how many are open.
create function raw_ops.watch_allocation_queue() returns integer
language plpgsql
as $$
declare
    fact record;
    open_alerts integer := 0;
begin
    for fact in
        select f.alert_type, f.severity, f.value, f.message, c.threshold_value as most, 'allocation ' || f.alert_type as key,
            coalesce(c.enabled, true) and f.value > c.threshold_value as beyond
        from raw_ops.allocation_figures() f
        join raw_ops.allocation_alert_config c on c.alert_type = f.alert_type
        order by f.alert_type
    loop
        if fact.beyond then
            open_alerts := open_alerts + 1;
            insert into raw_ops.allocation_alert_history (alert_type, severity, message, details, created_at)
            values (fact.alert_type, fact.severity, fact.message,
                jsonb_build_object('value', round(fact.value, 2), 'threshold', fact.most), engine.now())
            on conflict (alert_type) where resolved_at is null
            do update set message = excluded.message, details = excluded.details;
            perform raw_ops.raise_alert(fact.severity, 'Allocation', fact.message, key => fact.key, source_check => 'allocation_queue');
        else
            update raw_ops.allocation_alert_history h set resolved_at = engine.now()
            where h.alert_type = fact.alert_type and h.resolved_at is null;
            perform raw_ops.clear_alert(fact.key, 'Allocation', 'no more beyond its limit of ' || fact.most || ': ' || fact.alert_type);
        end if;
    end loop;
    return open_alerts;
end
$$;
