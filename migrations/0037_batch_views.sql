-- Batches as people look at them: waiting for the laboratory, tied-up money, what may be sold (registry 2.1 and 2.2).
--
-- Locks: creates new objects only.

-- A batch waits from the start of its hold, or from its row where nobody has written that down.
create view raw_ops.v_lab_sla_tracking as
select
    b.id as batch_id, b.batch_code, b.status, b.produced_at, h.held_since,
    r.id as lab_result_id, r.lab_name, r.outcome, r.reported_at,
    case when r.id is null then (select engine.now()) - h.held_since end as waiting,
    r.reported_at - h.held_since as turnaround,
    l.max_days,
    coalesce(r.reported_at, (select engine.now())) > h.held_since + l.max_days * interval '1 day' as is_late
from raw_ops.batches b
cross join lateral (select coalesce(b.qa_hold_started_at, b.created_at) as held_since) h
left join raw_ops.lab_results r on r.batch_id = b.id
cross join (
    select coalesce((select value_numeric from raw_ops.config where key = 'lab_sla.max_days'), 5) as max_days
) l
where (r.id is null and b.status = 'QA_HOLD')
   or (r.reported_at > (select engine.now()) - interval '90 days' and r.reported_at <= (select engine.now()));
comment on view raw_ops.v_lab_sla_tracking is 'Lab turnaround metrics';
comment on column raw_ops.v_lab_sla_tracking.waiting is
    'While there is no result. Batches with a result of the last 90 days are listed too.';
comment on column raw_ops.v_lab_sla_tracking.is_late is 'The result came, or is still not there, after max_days.';

create view raw_ops.v_working_capital_metrics as
select
    count(*)                                                     as batches,
    count(*) filter (where v.gbp is null)                        as batches_without_cost,
    coalesce(round(sum(v.gbp), 2), 0)                            as held_gbp,
    coalesce(sum(v.kg), 0)                                       as held_kg,
    min(v.held_since)                                            as oldest_held_since,
    (select engine.now()) - min(v.held_since)                    as oldest_age
from (
    select
        coalesce(b.total_cost_gbp, b.kg_produced * b.cogs_per_kg_gbp) as gbp,
        coalesce(i.kg, b.kg_produced)                                 as kg,
        coalesce(b.qa_hold_started_at, b.created_at)                  as held_since
    from raw_ops.batches b
    left join lateral (select sum(n.kg_available) as kg from raw_ops.inventory n where n.batch_id = b.id) i on true
    where b.status = 'QA_HOLD'
) v;
comment on view raw_ops.v_working_capital_metrics is 'Cash tied in QA hold';
comment on column raw_ops.v_working_capital_metrics.batches_without_cost is 'Their money is not in held_gbp.';

-- Released with a passing result. A batch that two people released without one is in stock, but not here.
create view raw_ops.v_released_batches_verified as
select
    b.id as batch_id, b.batch_code, b.public_batch_id, b.product_id, b.produced_at, b.expiry_date, b.released_at, b.qty_on_hand,
    b.proof_url, r.id as lab_result_id, r.lab_name, r.outcome, r.collected_at, r.reported_at, r.report_pdf_url,
    r.salmonella_absent, r.listeria_absent, r.enterobacteriaceae_operator, r.enterobacteriaceae_cfu_per_g
from raw_ops.batches b
join raw_ops.lab_results r on r.batch_id = b.id
where b.status = 'RELEASED' and r.outcome = 'PASS';
comment on view raw_ops.v_released_batches_verified is 'Batches with lab results';

-- Units are the truth. kg_recorded is what inventory says, kg_expected what it should say.
create view raw_ops.v_inventory_status as
select
    b.id as batch_id, b.batch_code, b.product_id, p.sku, p.name as product, b.status, b.expiry_date,
    b.expiry_date - d.today as days_to_expiry,
    q.on_hand as units_on_hand, q.reserved as units_reserved, coalesce(b.qty_soft_reserved, 0) as units_soft_reserved,
    case when b.status = 'RELEASED' and (b.expiry_date is null or b.expiry_date >= d.today + d.min_shelf_days)
        then floor(q.on_hand - q.reserved) else 0 end as units_free,
    q.on_hand * p.kg as kg_expected, i.kg as kg_recorded, i.kg - q.on_hand * p.kg as kg_drift, i.locations
from raw_ops.batches b
cross join lateral (select coalesce(b.qty_on_hand, 0) as on_hand, coalesce(b.qty_reserved, 0) as reserved) q
cross join (
    select
        (engine.now() at time zone 'Europe/London')::date as today,
        coalesce((select value_numeric from raw_ops.config where key = 'allocation.min_shelf_days'), 0)::integer as min_shelf_days
) d
left join raw_ops.products p on p.id = b.product_id
left join lateral (
    select sum(n.kg_available) as kg, array_agg(n.location order by n.location) as locations
    from raw_ops.inventory n where n.batch_id = b.id
) i on true
where q.on_hand > 0 or i.kg > 0;
comment on view raw_ops.v_inventory_status is 'Current stock levels';
comment on column raw_ops.v_inventory_status.units_free is
    'May be promised to an order today; 0 unless the batch is released and in date.';
comment on column raw_ops.v_inventory_status.kg_drift is
    'What inventory records beyond the units; null where it records nothing.';
