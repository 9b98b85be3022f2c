-- A change that was not told is not lost: neither its old address, nor the change itself, nor when Shopify heard of it.
--
-- A change that is told stands for those before it that were not, so subscriptions are still where those found them. One that
-- failed is kept from Shopify's documents until it is told. And a document from before Shopify was told is old.
-- Locks: access exclusive on raw_ops.address_changes, share update exclusive on customers, for a moment. At run time: the customer's
-- row, then the change.

-- The addresses at which what a target keeps may still stand when a change is told: the old one, and those of the changes before
-- it that were not told either.
create function raw_ops.addresses_before(change_id uuid, target text) returns jsonb
language plpgsql
as $$
declare
    change raw_ops.address_changes;
    settled bigint;
begin
    select * into change from raw_ops.address_changes a where a.id = change_id;
    select max(a.number) into settled
    from raw_ops.address_changes a
    where a.customer_id = change.customer_id and a.number < change.number
      and case raw_ops.address_state(a, target)
          when 'synced' then true
          -- From before there were jobs: nobody's work.
          when 'failed' then case target when 'shopify' then a.shopify_begun_at else a.seal_begun_at end is null
          -- The target kept nothing that could have been moved. What Shopify's documents say moves nothing either.
          when 'not_needed' then a.source is distinct from 'shopify' and raw_ops.is_address(a.new_address)
          else false
      end;
    return coalesce((
        select jsonb_agg(distinct a.old_address)
        from raw_ops.address_changes a
        where a.customer_id = change.customer_id and a.number between coalesce(settled, 0) + 1 and change.number
          and jsonb_typeof(a.old_address) = 'object'), '[]');
end
$$;

drop index raw_ops.address_changes_untold;
create index address_changes_untold on raw_ops.address_changes (customer_id) where shopify_state in ('pending', 'telling', 'failed');

-- As 0165, but one that failed counts too, unless a newer one was told.
create or replace function raw_ops.awaits_address_sync(customer uuid) returns boolean
language plpgsql stable
as $$
begin
    return exists (
        select from raw_ops.address_changes a
        where a.customer_id = customer and a.shopify_state in ('pending', 'telling', 'failed')
          and (a.shopify_state <> 'failed' or (a.shopify_begun_at is not null and not exists (
              select from raw_ops.address_changes n
              where n.customer_id = customer and n.number > a.number and n.shopify_state = 'synced'))));
end
$$;

-- As 0165, and what Shopify wrote before it was told is older than what the customer has.
-- Locks: the customer's row when Shopify has been told, as begin_address_sync; then the change.
create or replace function raw_ops.settle_address_sync(change_id uuid, target text, outcome text, words text) returns text
language plpgsql
as $$
declare
    change raw_ops.address_changes;
    is_told boolean := target = 'shopify' and outcome = 'synced';
begin
    if is_told then
        perform from raw_ops.customers c
        where c.id = (select a.customer_id from raw_ops.address_changes a where a.id = change_id) for no key update;
    end if;
    select * into change from raw_ops.address_changes a where a.id = change_id for update;
    if raw_ops.address_state(change, target) in ('pending', 'telling', 'failed') then
        perform raw_ops.set_address_state(change_id, target, outcome, words);
        update raw_ops.customers c set updated_at_shopify = greatest(c.updated_at_shopify, change.shopify_begun_at)
        where is_told and c.id = change.customer_id;
        return outcome;
    end if;
    return raw_ops.address_state(change, target);
end
$$;

comment on column raw_ops.customers.updated_at_shopify is
    'The age of the newest customer document, or of the last address that Shopify was told; null while only orders told of the customer.';
