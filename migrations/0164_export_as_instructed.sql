-- The packer is told only what may be packed: an instruction for the address and the food that the order has now, and batches
-- that are released and not expired when the parcel arrives.
--
-- Locks: none. At run time as 0157.

-- As 0157. Of a batch that may not be sent the code is null, which keeps its order out whole, for a person.
create or replace function raw_ops.lines_to_export(max_orders integer)
returns table (
    order_id uuid, order_ref text, ship_name text, ship_phone text, ship_address1 text, ship_address2 text, ship_city text,
    ship_postcode text, ship_country text, sku text, batch_code text, quantity bigint, box_size text, insulation text,
    pcm_packs smallint, logger_required boolean, deliver_on date
)
language plpgsql
as $$
#variable_conflict use_column
declare
    waits boolean := raw_ops.threshold('export.needs_packing_instructions') <> 0;
    chosen uuid[];
begin
    -- What a person was asked to look at comes last, so that it keeps nothing else out.
    chosen := array(
        select o.id from raw_ops.orders o
        where o.status = 'ALLOCATED' and (o.export_state is null or o.export_state = 'review')
          -- An instruction of another day says that nothing is packed for this order today.
          and (not waits or exists (
              select from raw_ops.packing_instructions p
              where p.order_id = o.id and (p.pack_on is null or p.pack_on = raw_ops.today() or p.calculated_by <> 'automated')
                and raw_ops.instruction_fits(p, o)))
        order by o.export_state is not null, o.ordered_at, o.id limit max_orders for no key update);
    -- A statement of its own, so that it sees what the holders before have written: an instruction may not fit any more.
    return query
        with named as (
            select o.*, 'PR' || coalesce(o.order_number_label, o.shopify_order_id) as wanted,
                count(*) over (partition by coalesce(o.order_number_label, o.shopify_order_id)) as namesakes
            from raw_ops.orders o where o.id = any (chosen)
        ),
        fitting as (
            select p.*
            from raw_ops.orders o
            join raw_ops.packing_instructions p on p.order_id = o.id
            where o.id = any (chosen) and raw_ops.instruction_fits(p, o)
        )
        select n.id,
            coalesce(n.external_order_ref, case
                when n.namesakes = 1 and not exists (select from raw_ops.orders x where x.external_order_ref = n.wanted) then n.wanted
            end, 'PR-' || n.id),
            n.ship_name, n.ship_phone, n.ship_address1, n.ship_address2, n.ship_city, n.ship_postcode, n.ship_country,
            a.sku, a.batch_code, a.units, i.box_size::text, i.insulation_type::text, i.pcm_packs_count, i.logger_required,
            i.deliver_on
        from named n
        left join fitting i on i.order_id = n.id
        left join lateral (
            select s.sku, s.batch_code, sum(s.units)::bigint as units
            from (
                select p.sku, f.units, case
                    when b.status = 'RELEASED' and coalesce(b.expiry_date >= greatest(i.deliver_on, raw_ops.today()), true) then b.batch_code
                end as batch_code
                from raw_ops.open_allocations(n.id) f
                join raw_ops.batches b on b.id = f.batch_id
                left join raw_ops.products p on p.id = f.product_id
            ) s
            group by s.sku, s.batch_code
        ) a on true
        where not waits or i.id is not null
        order by n.ordered_at, n.id, a.sku collate "C", a.batch_code collate "C";
end
$$;
