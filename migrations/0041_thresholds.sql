-- The numbers that rules and monitors compare with: rows of config, so that the owner changes them without a release.
--
-- Locks: new rows only.

-- A number of config. A name that has none is an error, because a comparison with nothing never alerts.
create function raw_ops.threshold(wanted text) returns numeric
language plpgsql stable
as $$
declare
    number numeric;
begin
    select c.value_numeric into number from raw_ops.config c where c.key = wanted;
    if number is null then
        raise exception 'the setting % has no number: set value_numeric of its row in raw_ops.config', wanted
            using errcode = '55000';
    end if;
    return number;
end
$$;

insert into raw_ops.config (key, value_numeric, description)
values
    ('allocation.min_shelf_days', 0, 'Days before its expiry date from which a batch is packed no more; 0 packs on the day itself'),
    ('lab.listeria_required', 1, '1: a batch is released only when Listeria was not detected in 25 g; 0: it may be unknown'),
    ('stock.low_units', 40, 'Fewer free units of a product than this are a warning'),
    ('stock.critical_units', 10, 'Fewer free units of a product than this are critical'),
    ('order_ingestion.max_waiting', 100, 'More webhooks waiting than this are a warning'),
    ('order_ingestion.max_age_minutes', 30, 'A webhook waiting longer than this is a warning'),
    ('order_ingestion.max_p95_ms', 5000, 'Processing of the last hour: a 95th percentile above this is a warning'),
    ('order_ingestion.max_ms', 10000, 'Processing of the last hour: a maximum above this is a warning'),
    ('outbox.max_pending', 100, 'More unsent messages than this are a warning'),
    ('outbox.max_age_minutes', 15, 'A message unsent for longer than this is a warning'),
    ('lab_sla.max_days', 5, 'A batch in QA hold for more days than this without a lab result is a warning'),
    ('working_capital.warning_gbp', 10000, 'A higher value in QA hold than this is a warning'),
    ('working_capital.critical_gbp', 25000, 'A higher value in QA hold than this is critical'),
    ('support.max_open', 25, 'More open tickets than this are a warning'),
    ('support.max_age_hours', 8, 'A ticket that nobody has looked at for longer than this is a warning'),
    ('webhooks.max_attempts', 20, 'A webhook that failed this often is not tried again by itself')
on conflict (key) do nothing;

-- Today where the company is.
create function raw_ops.today() returns date
language sql volatile
as $$ select (engine.now() at time zone 'Europe/London')::date $$;
