-- An instruction is for the address that it was made for, as it is for the food; and the last plan of a day is the one that holds.
--
-- Planning a later day took orders out of the plan of today, since only an instruction of an earlier day gave way. Of an order
-- that waits the last plan holds now, whichever day it is of; of one that has gone to the packer only today's.
-- Locks: access exclusive on raw_ops.packing_instructions for a moment. At run time as 0151.

alter table raw_ops.packing_instructions
    add column postcode text,
    add column country text;
comment on column raw_ops.packing_instructions.postcode is 'The postcode that it was made for, as the order had it.';
comment on column raw_ops.packing_instructions.country is 'The country that it was made for, as the order had it.';

-- Whether an instruction is for the address and the food that an order has now. What a person has written is.
create function raw_ops.instruction_fits(instruction raw_ops.packing_instructions, wanted raw_ops.orders) returns boolean
language plpgsql stable  -- As sql it would be planned anew at each call, which takes longer than it runs.
as $$
begin
    return instruction.calculated_by is distinct from 'automated'
        or (instruction.postcode is not distinct from wanted.ship_postcode
            and instruction.country is not distinct from wanted.ship_country
            and coalesce(instruction.food_grams = (select f.food_grams from raw_ops.parcel_to_pack(wanted.id) f), false));
end
$$;

-- As 0154, with orders that go elsewhere now, and those that were planned for another day. What a person was asked to look at
-- comes last, so that it keeps nothing else out; it is looked at even where it has an instruction again.
create or replace function raw_ops.orders_to_pack(day date, most integer) returns setof uuid
language sql stable
as $$
    with held as materialized (
        select e.order_id from raw_ops.exceptions_queue e where e.issue_type = 'cannot_be_packed' and not e.resolved
    )
    select o.id
    from raw_ops.orders o
    left join raw_ops.packing_instructions p on p.order_id = o.id
    where o.status in ('ALLOCATED', 'EXPORTED')
      and (p.id is null
           or (p.calculated_by = 'automated' and case o.status
               when 'EXPORTED' then p.pack_on < day and day = raw_ops.today()
               else p.pack_on is distinct from day or o.id in (select h.order_id from held h) or not raw_ops.instruction_fits(p, o)
           end))
      and not exists (select from raw_ops.pack_quality_checks c where c.order_id = o.id)
    order by o.id in (select h.order_id from held h), o.ordered_at, o.id
    limit most
$$;

-- As 0154; an instruction for another address gives way as one for other food. `changed` means either.
create or replace function raw_ops.put_packing_instruction(wanted_order uuid, made jsonb, forecast_age interval) returns text
language plpgsql
as $$
declare
    parcel record;
    exported boolean;
    word text;
begin
    -- A statement of its own: the next ones see what its holder before has written.
    select o.status = 'EXPORTED' into exported from raw_ops.orders o where o.id = wanted_order for no key update;
    select * into parcel from raw_ops.parcel_to_pack(wanted_order);
    if not found then
        return 'closed';
    elsif (parcel.food_grams, parcel.postcode, parcel.country)
        is distinct from ((made ->> 'food_grams')::bigint, made ->> 'postcode', made ->> 'country') then
        return 'changed';
    end if;
    insert into raw_ops.packing_instructions as p
        (order_id, shopify_order_id, batch_id, box_size, insulation_type, pcm_mass_kg, pcm_packs_count, ambient_forecast_max,
         transit_hours_expected, forecast_retrieved_at, risk_level, logger_required, special_notes, created_at, calculation_version,
         pack_on, deliver_on, expected_weight_kg, food_grams, postcode, country)
    select wanted_order, parcel.shopify_order_id, parcel.batch_id, m.box_size, m.insulation, m.coolant_grams / 1000.0, m.packs, m.ambient,
        m.transit_hours, engine.now() - forecast_age, m.risk, m.logger, m.notes, engine.now(), m.version,
        m.pack_on, m.deliver_on, m.total_grams / 1000.0, parcel.food_grams, parcel.postcode, parcel.country
    from jsonb_to_record(made) m (
        box_size text, insulation text, coolant_grams bigint, packs smallint, ambient numeric, transit_hours smallint, risk text,
        logger boolean, notes text, version text, pack_on date, deliver_on date, total_grams bigint)
    on conflict (order_id) do update set
        (batch_id, box_size, insulation_type, pcm_mass_kg, pcm_packs_count, ambient_forecast_max, transit_hours_expected,
         forecast_retrieved_at, risk_level, logger_required, special_notes, created_at, calculation_version, pack_on, deliver_on,
         expected_weight_kg, food_grams, postcode, country)
        = (excluded.batch_id, excluded.box_size, excluded.insulation_type, excluded.pcm_mass_kg, excluded.pcm_packs_count,
         excluded.ambient_forecast_max, excluded.transit_hours_expected, excluded.forecast_retrieved_at, excluded.risk_level,
         excluded.logger_required, excluded.special_notes, excluded.created_at, excluded.calculation_version, excluded.pack_on,
         excluded.deliver_on, excluded.expected_weight_kg, excluded.food_grams, excluded.postcode, excluded.country)
    where p.calculated_by = 'automated'
      and case when exported then p.pack_on < excluded.pack_on and excluded.pack_on = raw_ops.today()
          else (p.pack_on, p.food_grams, p.postcode, p.country)
              is distinct from (excluded.pack_on, excluded.food_grams, excluded.postcode, excluded.country)
          end
      and not exists (select from raw_ops.pack_quality_checks c where c.order_id = wanted_order);
    word := case when found then 'calculated' else 'known' end;
    -- One that stands says as well that nothing keeps its box from being packed.
    update raw_ops.exceptions_queue e
    set resolved = true, resolved_at = engine.now(), resolved_by = 'packing.calculate_instructions'
    where e.order_id = wanted_order and e.issue_type = 'cannot_be_packed' and not e.resolved;
    return word;
end
$$;
