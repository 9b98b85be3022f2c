-- Packing instructions: the rules as versions in raw_ops.config, what a parcel is, and the one instruction of an order.
--
-- jobs/packing decides from these facts alone. An order has one instruction. One that was made for a day which has passed is
-- made anew while the box has not been packed, since it may be warmer now; its row stays.
-- Locks: access exclusive on raw_ops.packing_instructions for a moment. At run time: the order's row, then the instruction's.

alter table raw_ops.packing_instructions
    add column pack_on date,
    add column deliver_on date,
    add column expected_weight_kg numeric;
comment on column raw_ops.packing_instructions.pack_on is 'The day it was made for.';
comment on column raw_ops.packing_instructions.deliver_on is 'The day on which the parcel arrives when it leaves on pack_on.';
comment on column raw_ops.packing_instructions.expected_weight_kg is 'Boxes, lining, coolant and food.';
comment on column raw_ops.packing_instructions.ambient_forecast_max is
    'Degrees Celsius on the way; assumed, and said so in special_notes, where forecast_retrieved_at is null.';
comment on column raw_ops.packing_instructions.calculation_version is 'The version of the rules: config packing.rules.VERSION.';

insert into raw_ops.config (key, value_text, description)
values
    ('packing.rules', '1.0', 'The version of the rules of packing that holds; its document is packing.rules.VERSION'),
    ('packing.rules.1.0', $rules${
  "boxes": [
    { "size": "small", "food_grams": 4000, "empty_grams": 650, "coolant_grams_a_day": 1000, "most_packs": 10 },
    { "size": "medium", "food_grams": 9000, "empty_grams": 850, "coolant_grams_a_day": 1500, "most_packs": 14 },
    { "size": "large", "food_grams": 16000, "empty_grams": 1100, "coolant_grams_a_day": 2000, "most_packs": 20 }
  ],
  "pack_grams": 500,
  "ambient": [
    { "up_to_celsius": 10, "coolant_percent": 80, "risk": "LOW" },
    { "up_to_celsius": 18, "coolant_percent": 100, "risk": "LOW" },
    { "up_to_celsius": 24, "coolant_percent": 140, "risk": "MEDIUM" },
    { "up_to_celsius": 30, "coolant_percent": 190, "risk": "HIGH" },
    { "up_to_celsius": null, "coolant_percent": 250, "risk": "HIGH" }
  ],
  "transit": [
    { "up_to_hours": 24, "risk": "LOW" },
    { "up_to_hours": 48, "risk": "MEDIUM" },
    { "up_to_hours": 72, "risk": "HIGH" }
  ],
  "insulation": {
    "LOW": { "name": "Wool", "coolant_percent": 100 },
    "MEDIUM": { "name": "Wool", "coolant_percent": 100 },
    "HIGH": { "name": "Wool, double", "coolant_percent": 80 }
  },
  "high_risk_postcode": "HIGH",
  "logger_from": "HIGH",
  "without_forecast_celsius": [15, 16, 19, 23, 27, 31, 35, 34, 29, 23, 18, 15],
  "usual_transit_hours": 48,
  "packed_in": "PE",
  "days": { "pack_on": ["Mon", "Tue", "Wed", "Thu", "Fri"], "deliver_on": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat"] }
}$rules$, 'How boxes are packed. Never changed: a change is a row packing.rules.VERSION of its own, which packing.rules then names')
on conflict (key) do nothing;

-- The rules that hold: their version, and their document, null where nobody has written it.
create function raw_ops.packing_rules() returns table (version text, document text)
language sql stable
as $$
    select c.value_text, d.value_text
    from raw_ops.config c
    left join raw_ops.config d on d.key = 'packing.rules.' || c.value_text
    where c.key = 'packing.rules'
$$;

-- Orders whose boxes have no instruction for this day and have not been packed, the oldest first.
create function raw_ops.orders_to_pack(day date, most integer) returns setof uuid
language sql stable
as $$
    select o.id
    from raw_ops.orders o
    left join raw_ops.packing_instructions p on p.order_id = o.id
    where o.status in ('ALLOCATED', 'EXPORTED')
      and (p.id is null or (p.pack_on < day and p.calculated_by = 'automated'))
      and not exists (select from raw_ops.pack_quality_checks c where c.order_id = o.id)
    order by o.ordered_at, o.id
    limit most
$$;

-- What is to be packed of an order: where it goes, and the food that is allocated and has not left, in grams. `batch_id` is null
-- where it comes of several. No row where the order is not to be packed.
create function raw_ops.parcel_to_pack(wanted_order uuid)
returns table (shopify_order_id text, postcode text, country text, food_grams bigint, batch_id uuid)
language sql stable
as $$
    select o.shopify_order_id, o.ship_postcode, o.ship_country, f.grams, f.batch_id
    from raw_ops.orders o
    cross join lateral (
        select coalesce(ceil(sum(a.units * p.kg * 1000)), 0)::bigint as grams,
            case when count(distinct a.batch_id) = 1 then (array_agg(a.batch_id))[1] end as batch_id
        from raw_ops.open_allocations(o.id) a
        join raw_ops.products p on p.id = a.product_id
    ) f
    where o.id = wanted_order and o.status in ('ALLOCATED', 'EXPORTED')
$$;

-- Writes the instruction of an order, and takes back that it could not be packed.
--
-- Returns `calculated`; `known` where it has one that stands; `closed` where nothing is to be packed of it any more; `changed`
-- where the food is not what the instruction was made for, and nothing is written.
create function raw_ops.put_packing_instruction(wanted_order uuid, made jsonb, forecast_age interval) returns text
language plpgsql
as $$
declare
    parcel record;
begin
    -- A statement of its own: the next ones see what its holder before has written.
    perform from raw_ops.orders o where o.id = wanted_order for no key update;
    select * into parcel from raw_ops.parcel_to_pack(wanted_order);
    if not found then
        return 'closed';
    elsif parcel.food_grams <> (made ->> 'food_grams')::bigint then
        return 'changed';
    end if;
    insert into raw_ops.packing_instructions as p
        (order_id, shopify_order_id, batch_id, box_size, insulation_type, pcm_mass_kg, pcm_packs_count, ambient_forecast_max,
         transit_hours_expected, forecast_retrieved_at, risk_level, logger_required, special_notes, created_at, calculation_version,
         pack_on, deliver_on, expected_weight_kg)
    select wanted_order, parcel.shopify_order_id, parcel.batch_id, m.box_size, m.insulation, m.coolant_grams / 1000.0, m.packs, m.ambient,
        m.transit_hours, engine.now() - forecast_age, m.risk, m.logger, m.notes, engine.now(), m.version,
        m.pack_on, m.deliver_on, m.total_grams / 1000.0
    from jsonb_to_record(made) m (
        box_size text, insulation text, coolant_grams bigint, packs smallint, ambient numeric, transit_hours smallint, risk text,
        logger boolean, notes text, version text, pack_on date, deliver_on date, total_grams bigint)
    on conflict (order_id) do update set
        (batch_id, box_size, insulation_type, pcm_mass_kg, pcm_packs_count, ambient_forecast_max, transit_hours_expected,
         forecast_retrieved_at, risk_level, logger_required, special_notes, created_at, calculation_version, pack_on, deliver_on,
         expected_weight_kg)
        = (excluded.batch_id, excluded.box_size, excluded.insulation_type, excluded.pcm_mass_kg, excluded.pcm_packs_count,
         excluded.ambient_forecast_max, excluded.transit_hours_expected, excluded.forecast_retrieved_at, excluded.risk_level,
         excluded.logger_required, excluded.special_notes, excluded.created_at, excluded.calculation_version, excluded.pack_on,
         excluded.deliver_on, excluded.expected_weight_kg)
    where p.pack_on < excluded.pack_on and p.calculated_by = 'automated'
      and not exists (select from raw_ops.pack_quality_checks c where c.order_id = wanted_order);
    if not found then
        return 'known';
    end if;
    update raw_ops.exceptions_queue e
    set resolved = true, resolved_at = engine.now(), resolved_by = 'packing.calculate_instructions'
    where e.order_id = wanted_order and e.issue_type = 'cannot_be_packed' and not e.resolved;
    return 'calculated';
end
$$;

-- Notes why an order cannot be packed, for a person: one open exception an order, with the newest reason.
create function raw_ops.hold_parcel(held_order uuid, why text) returns void
language plpgsql
as $$
begin
    perform from raw_ops.orders o where o.id = held_order for no key update;
    update raw_ops.exceptions_queue e set issue_description = why
    where e.order_id = held_order and e.issue_type = 'cannot_be_packed' and not e.resolved;
    if not found then
        insert into raw_ops.exceptions_queue (order_id, issue_type, issue_description, created_at)
        values (held_order, 'cannot_be_packed', why, engine.now());
    end if;
end
$$;
