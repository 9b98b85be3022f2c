-- The orders that have all their stock and have not left (registry 2.2).
--
-- Locks: creates new objects only.

create view raw_ops.v_pack_queue as
select
    o.id as order_id, o.shopify_order_id, o.order_number_label, o.status, o.ordered_at, o.exported_at, o.is_subscription,
    o.ship_name, o.ship_city, o.ship_postcode,
    a.units, a.batch_codes,
    p.id as packing_instruction_id, p.box_size, p.insulation_type, p.pcm_packs_count, p.pcm_mass_kg, p.risk_level,
    p.logger_required, p.special_notes
from raw_ops.orders o
left join raw_ops.packing_instructions p on p.order_id = o.id
cross join lateral (
    select coalesce(sum(x.qty_allocated), 0) as units, array_agg(distinct b.batch_code order by b.batch_code) as batch_codes
    from raw_ops.order_items i
    join raw_ops.allocations x on x.order_item_id = i.id
    join raw_ops.batches b on b.id = x.batch_id
    where i.order_id = o.id
) a
where o.status in ('ALLOCATED', 'EXPORTED');
comment on view raw_ops.v_pack_queue is 'Orders ready for packing';
comment on column raw_ops.v_pack_queue.packing_instruction_id is
    'Null until the coolant was calculated: such an order cannot be packed yet.';
