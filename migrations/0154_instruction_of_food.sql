-- An instruction is for the food that it was made for: an order that was made smaller by a refund is instructed anew on the same
-- day, until its order has gone to the packer. Its box, its coolant and its weight are others now.
--
-- Locks: access exclusive on raw_ops.packing_instructions for a moment. At run time as 0151.

alter table raw_ops.packing_instructions add column food_grams bigint;
comment on column raw_ops.packing_instructions.food_grams is 'The food that it was made for; null where nobody wrote it down.';

-- As 0151, with orders whose food is another now.
create or replace function raw_ops.orders_to_pack(day date, most integer) returns setof uuid
language sql stable
as $$
    select o.id
    from raw_ops.orders o
    left join raw_ops.packing_instructions p on p.order_id = o.id
    where o.status in ('ALLOCATED', 'EXPORTED')
      and (p.id is null
           or (p.calculated_by = 'automated'
               and (p.pack_on < day
                    or (o.status = 'ALLOCATED' and p.pack_on = day
                        and p.food_grams <> (select f.food_grams from raw_ops.parcel_to_pack(o.id) f)))))
      and not exists (select from raw_ops.pack_quality_checks c where c.order_id = o.id)
    order by o.ordered_at, o.id
    limit most
$$;

-- As 0151; an instruction for other food gives way as one of a day that has passed.
create or replace function raw_ops.put_packing_instruction(wanted_order uuid, made jsonb, forecast_age interval) returns text
language plpgsql
as $$
declare
    parcel record;
    exported boolean;
begin
    -- A statement of its own: the next ones see what its holder before has written.
    select o.status = 'EXPORTED' into exported from raw_ops.orders o where o.id = wanted_order for no key update;
    select * into parcel from raw_ops.parcel_to_pack(wanted_order);
    if not found then
        return 'closed';
    elsif parcel.food_grams <> (made ->> 'food_grams')::bigint then
        return 'changed';
    end if;
    insert into raw_ops.packing_instructions as p
        (order_id, shopify_order_id, batch_id, box_size, insulation_type, pcm_mass_kg, pcm_packs_count, ambient_forecast_max,
         transit_hours_expected, forecast_retrieved_at, risk_level, logger_required, special_notes, created_at, calculation_version,
         pack_on, deliver_on, expected_weight_kg, food_grams)
    select wanted_order, parcel.shopify_order_id, parcel.batch_id, m.box_size, m.insulation, m.coolant_grams / 1000.0, m.packs, m.ambient,
        m.transit_hours, engine.now() - forecast_age, m.risk, m.logger, m.notes, engine.now(), m.version,
        m.pack_on, m.deliver_on, m.total_grams / 1000.0, parcel.food_grams
    from jsonb_to_record(made) m (
        box_size text, insulation text, coolant_grams bigint, packs smallint, ambient numeric, transit_hours smallint, risk text,
        logger boolean, notes text, version text, pack_on date, deliver_on date, total_grams bigint)
    on conflict (order_id) do update set
        (batch_id, box_size, insulation_type, pcm_mass_kg, pcm_packs_count, ambient_forecast_max, transit_hours_expected,
         forecast_retrieved_at, risk_level, logger_required, special_notes, created_at, calculation_version, pack_on, deliver_on,
         expected_weight_kg, food_grams)
        = (excluded.batch_id, excluded.box_size, excluded.insulation_type, excluded.pcm_mass_kg, excluded.pcm_packs_count,
         excluded.ambient_forecast_max, excluded.transit_hours_expected, excluded.forecast_retrieved_at, excluded.risk_level,
         excluded.logger_required, excluded.special_notes, excluded.created_at, excluded.calculation_version, excluded.pack_on,
         excluded.deliver_on, excluded.expected_weight_kg, excluded.food_grams)
    where p.calculated_by = 'automated'
      and (p.pack_on < excluded.pack_on
           or (not exported and p.pack_on = excluded.pack_on and p.food_grams <> excluded.food_grams))
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
