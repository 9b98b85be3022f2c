-- A customer's new address reaches every system that keeps a copy of it.
--
-- Whoever changes the address on raw_ops.customers has it written down in raw_ops.address_changes, and each target is told by a
-- job of its own, whose state stands on the row. The newest change of a customer wins: an older one that has not been told is
-- `superseded`. What Shopify's own documents say is written down and told to nobody: Shopify has it, and a subscription goes
-- where its customer sends it. Say `set_config('rawops.changed_by', …, true)` and `'rawops.address_source'` to be named.
-- Locks: access exclusive on raw_ops.address_changes, share row exclusive on customers and dead_letter_queue, for a moment.

alter table raw_ops.address_changes
    add column number bigint generated always as identity,
    add column shopify_state text not null default 'pending',
    add column shopify_error text,
    add column shopify_begun_at timestamptz,
    add column seal_state text not null default 'pending',
    add column seal_error text,
    add column seal_begun_at timestamptz,
    add constraint address_changes_shopify_state_check
        check (shopify_state in ('pending', 'telling', 'synced', 'superseded', 'not_needed', 'failed')),
    add constraint address_changes_seal_state_check
        check (seal_state in ('pending', 'telling', 'synced', 'superseded', 'not_needed', 'failed'));
comment on column raw_ops.address_changes.number is 'The order in which changes were made.';
comment on column raw_ops.address_changes.shopify_state is 'telling: a job is at it. not_needed: there is nothing to tell.';

-- What was written down before there were jobs is nobody's work; a person may have it told by raw_ops.sync_address_change.
update raw_ops.address_changes
set shopify_state = case when shopify_synced then 'synced' else 'failed' end,
    seal_state = case when seal_synced then 'synced' else 'failed' end;

-- A customer's address, with Shopify's names; empty texts are none.
create function raw_ops.address_of(customer raw_ops.customers) returns jsonb
language sql immutable
as $$
    select jsonb_build_object(
        'address1', nullif(btrim(customer.address1), ''), 'address2', nullif(btrim(customer.address2), ''),
        'city', nullif(btrim(customer.city), ''), 'province', nullif(btrim(customer.region), ''),
        'zip', nullif(btrim(customer.postcode), ''), 'country_code', nullif(upper(btrim(customer.country_code)), ''))
$$;

-- Whether an address says where a parcel goes.
create function raw_ops.is_address(address jsonb) returns boolean
language sql immutable parallel safe
as $$
    select (address ->> 'address1') is not null and (address ->> 'zip') is not null
$$;

-- Writes down that the address of a customer has changed.
create function raw_ops.note_address_change() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    source text := coalesce(nullif(current_setting('rawops.address_source', true), ''), 'database');
    before jsonb := raw_ops.address_of(old);
    after jsonb := raw_ops.address_of(new);
    by_shopify boolean := source = 'shopify';
begin
    if raw_ops.is_seeding() or before = after or (by_shopify and not raw_ops.is_address(before)) then
        return null;
    end if;
    insert into raw_ops.address_changes
        (created_at, customer_id, changed_by, old_address, new_address, source, shopify_synced, shopify_synced_at, shopify_state, seal_state)
    values (engine.now(), new.id, coalesce(nullif(current_setting('rawops.changed_by', true), ''), case when by_shopify then source else session_user end),
        before, after, source, by_shopify, case when by_shopify then engine.now() end,
        case when by_shopify then 'synced' when raw_ops.is_address(after) then 'pending' else 'not_needed' end,
        case when not by_shopify and raw_ops.is_address(after) then 'pending' else 'not_needed' end);
    return null;
end
$$;
revoke execute on function raw_ops.note_address_change() from public;

create trigger trg_note_address_change
after update of address1, address2, city, region, postcode, country_code on raw_ops.customers
for each row when (row(old.address1, old.address2, old.city, old.region, old.postcode, old.country_code)
    is distinct from row(new.address1, new.address2, new.city, new.region, new.postcode, new.country_code))
execute function raw_ops.note_address_change();

create trigger trg_enqueue_sync_to_shopify after update of shopify_state on raw_ops.address_changes
for each row when (new.shopify_state = 'pending')
execute function raw_ops.enqueue_row('addresses.sync_to_shopify', 'addresses', 'change_id', 'id');
create trigger trg_enqueue_sync_to_shopify_new after insert on raw_ops.address_changes
referencing new table as new_rows for each statement
execute function raw_ops.enqueue_row('addresses.sync_to_shopify', 'addresses', 'change_id', 'id', '', '', 'shopify_state = ''pending''');
create trigger trg_enqueue_sync_to_seal after update of seal_state on raw_ops.address_changes
for each row when (new.seal_state = 'pending')
execute function raw_ops.enqueue_row('addresses.sync_to_seal', 'addresses', 'change_id', 'id');
create trigger trg_enqueue_sync_to_seal_new after insert on raw_ops.address_changes
referencing new table as new_rows for each statement
execute function raw_ops.enqueue_row('addresses.sync_to_seal', 'addresses', 'change_id', 'id', '', '', 'seal_state = ''pending''');

-- Where a change stands with a target.
create function raw_ops.address_state(change raw_ops.address_changes, target text) returns text
language sql immutable
as $$
    select case target when 'shopify' then change.shopify_state when 'seal' then change.seal_state end
$$;

-- Writes down where a change stands with a target, and why.
-- Locks: the row.
create function raw_ops.set_address_state(change_id uuid, target text, state text, words text) returns void
language plpgsql
as $$
declare
    at timestamptz := engine.now();
    is_synced boolean := state = 'synced';
begin
    if target = 'shopify' then
        update raw_ops.address_changes a
        set shopify_state = state, shopify_error = words, shopify_begun_at = case state when 'telling' then at else a.shopify_begun_at end,
            shopify_synced = is_synced, shopify_synced_at = case when is_synced then at end
        where a.id = change_id;
    else
        update raw_ops.address_changes a
        set seal_state = state, seal_error = words, seal_begun_at = case state when 'telling' then at else a.seal_begun_at end,
            seal_synced = is_synced, seal_synced_at = case when is_synced then at end
        where a.id = change_id;
    end if;
end
$$;

-- Begins to tell a target of a change. `step` is `tell` when it is to be told now; `wait` while an older change of the customer
-- is being told; else the state that it is in, or `gone`.
-- Locks: the customer's row, then the change.
create function raw_ops.begin_address_sync(change_id uuid, target text)
returns table (step text, old_address jsonb, new_address jsonb, shopify_customer_id text, first_name text, last_name text, subscriptions text[])
language plpgsql
as $$
#variable_conflict use_column
declare
    change raw_ops.address_changes;
    person raw_ops.customers;
    live text[];
begin
    -- Statements of their own, so that what comes after sees what the holder before has written.
    select * into person from raw_ops.customers c
    where c.id = (select a.customer_id from raw_ops.address_changes a where a.id = $1) for no key update;
    select * into change from raw_ops.address_changes a where a.id = $1 for update;
    live := array(select s.seal_subscription_id from raw_ops.subscriptions s
        where s.customer_id = person.id and s.status in ('active', 'paused') and s.seal_subscription_id is not null order by 1);
    step := coalesce(raw_ops.address_state(change, target), 'gone');
    if step in ('pending', 'telling', 'failed') then
        step := case
            when exists (
                select from raw_ops.address_changes n
                where n.customer_id = person.id and n.number > change.number and raw_ops.address_state(n, target) <> 'not_needed') then 'superseded'
            when exists (
                select from raw_ops.address_changes o
                where o.customer_id = person.id and o.number < change.number and raw_ops.address_state(o, target) = 'telling'
                  and case target when 'shopify' then o.shopify_begun_at else o.seal_begun_at end > engine.now() - interval '5 minutes') then 'wait'
            when target = 'shopify' and person.shopify_customer_id is null or target = 'seal' and live = '{}' then 'not_needed'
            else 'tell'
        end;
        if step <> 'wait' then
            perform raw_ops.set_address_state(change.id, target, case step when 'tell' then 'telling' else step end, null);
        end if;
    end if;
    return query select step, change.old_address, change.new_address, person.shopify_customer_id, person.first_name, person.last_name, live;
end
$$;

-- Writes down what came of telling: `synced`, `failed`, or `pending` when it is to be tried again. Returns the state that holds
-- now: what was decided meanwhile stands.
-- Locks: the change.
create function raw_ops.settle_address_sync(change_id uuid, target text, outcome text, words text) returns text
language plpgsql
as $$
declare
    change raw_ops.address_changes;
begin
    select * into change from raw_ops.address_changes a where a.id = change_id for update;
    if raw_ops.address_state(change, target) in ('pending', 'telling', 'failed') then
        perform raw_ops.set_address_state(change_id, target, outcome, words);
        return outcome;
    end if;
    return raw_ops.address_state(change, target);
end
$$;

create trigger mark_address_failed
after insert on raw_ops.dead_letter_queue
for each row when (new.topic in ('addresses.sync_to_shopify', 'addresses.sync_to_seal'))
execute function raw_ops.follow_dead_letter($update$
    select raw_ops.settle_address_sync((($1).payload ->> 'change_id')::uuid, replace(($1).topic, 'addresses.sync_to_', ''), 'failed', ($1).error_message)
$update$);

-- Has changes told that are not: the one, or all of a customer. What a job is at is left alone for five minutes. Returns each
-- change that it looked at, oldest first, with where it stands.
-- Locks: the changes.
create function raw_ops.sync_address_change(change_id uuid, customer uuid)
returns table (id uuid, customer_id uuid, shopify text, seal text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    change raw_ops.address_changes;
    late timestamptz := engine.now() - interval '5 minutes';
begin
    for change in
        select a.* from raw_ops.address_changes a
        where a.id = $1 or (a.customer_id = $2 and (a.shopify_state in ('pending', 'telling', 'failed') or a.seal_state in ('pending', 'telling', 'failed')))
        order by a.number for update
    loop
        if change.shopify_state in ('pending', 'failed') or (change.shopify_state = 'telling' and change.shopify_begun_at < late) then
            perform raw_ops.set_address_state(change.id, 'shopify', 'pending', change.shopify_error);
        end if;
        if change.seal_state in ('pending', 'failed') or (change.seal_state = 'telling' and change.seal_begun_at < late) then
            perform raw_ops.set_address_state(change.id, 'seal', 'pending', change.seal_error);
        end if;
        return query select a.id, a.customer_id, a.shopify_state, a.seal_state from raw_ops.address_changes a where a.id = change.id;
    end loop;
end
$$;
revoke execute on function raw_ops.sync_address_change(uuid, uuid) from public;

create index address_changes_untold on raw_ops.address_changes (customer_id) where shopify_state in ('pending', 'telling');

-- Whether Shopify is still to be told of a customer's address: until then its documents carry the old one.
create function raw_ops.awaits_address_sync(customer uuid) returns boolean
language plpgsql stable
as $$
begin
    return exists (select from raw_ops.address_changes a where a.customer_id = customer and a.shopify_state in ('pending', 'telling'));
end
$$;

-- As 0143, but an address that Shopify is still to be told of stands.
create or replace function raw_ops.save_shopify_customer(customer uuid, payload jsonb) returns void
language plpgsql  -- As sql it would be planned anew at each call, which takes longer than it runs.
as $$
begin
    perform set_config('rawops.address_source', 'shopify', true);
    update raw_ops.customers c
    set first_name = coalesce(n.first_name, c.first_name),
        last_name = coalesce(n.last_name, c.last_name),
        phone = coalesce(n.phone, c.phone),
        marketing_opt_in = c.marketing_opt_in and n.agreed is distinct from false,
        address_json = coalesce(n.address, c.address_json),
        address1 = case when n.address is null then c.address1 else raw_ops.shopify_text(n.address, 'address1') end,
        address2 = case when n.address is null then c.address2 else raw_ops.shopify_text(n.address, 'address2') end,
        city = case when n.address is null then c.city else raw_ops.shopify_text(n.address, 'city') end,
        region = case when n.address is null then c.region else raw_ops.shopify_text(n.address, 'province') end,
        postcode = case when n.address is null then c.postcode else raw_ops.shopify_text(n.address, 'zip') end,
        country_code = case when n.address is null then c.country_code
                            else raw_ops.shopify_text(n.address, 'country_code') end
    from (
        select
            coalesce(raw_ops.shopify_text(d.person, 'first_name'), raw_ops.shopify_text(d.ship_to, 'first_name')) as first_name,
            coalesce(raw_ops.shopify_text(d.person, 'last_name'), raw_ops.shopify_text(d.ship_to, 'last_name')) as last_name,
            coalesce(raw_ops.shopify_text(d.person, 'phone'), raw_ops.shopify_text(payload, 'phone')) as phone,
            raw_ops.shopify_marketing(d.person) as agreed,
            case when not raw_ops.awaits_address_sync(customer) then coalesce(raw_ops.shopify_object(d.person, 'default_address'),
                case when k.address_json is null then d.ship_to end) end as address
        from raw_ops.customers k,
            (select raw_ops.shopify_object(payload, 'customer') as person,
                    raw_ops.shopify_object(payload, 'shipping_address') as ship_to) d
        where k.id = customer
    ) n
    where c.id = customer
      and (c.updated_at_shopify is null or c.updated_at_shopify <= coalesce(raw_ops.shopify_text(payload, 'updated_at'),
          raw_ops.shopify_text(payload, 'created_at'))::timestamptz);
    perform set_config('rawops.address_source', '', true);
end
$$;

-- As 0143, but an address that Shopify is still to be told of stands.
create or replace function raw_ops.apply_shopify_customer(customer uuid, payload jsonb, updated_at timestamptz) returns void
language plpgsql
as $$
declare
    -- Some documents name all addresses and no default: then there is none.
    address jsonb := raw_ops.shopify_object(payload, 'default_address');
    names_address boolean := (payload ? 'default_address' or payload ? 'addresses') and not raw_ops.awaits_address_sync(customer);
begin
    perform set_config('rawops.address_source', 'shopify', true);
    update raw_ops.customers c
    set first_name = case when payload ? 'first_name' then raw_ops.shopify_text(payload, 'first_name') else c.first_name end,
        last_name = case when payload ? 'last_name' then raw_ops.shopify_text(payload, 'last_name') else c.last_name end,
        phone = case when payload ? 'phone' then raw_ops.shopify_text(payload, 'phone') else c.phone end,
        marketing_opt_in = coalesce(raw_ops.shopify_marketing(payload), c.marketing_opt_in),
        address_json = case when names_address then address else c.address_json end,
        address1 = case when names_address then raw_ops.shopify_text(address, 'address1') else c.address1 end,
        address2 = case when names_address then raw_ops.shopify_text(address, 'address2') else c.address2 end,
        city = case when names_address then raw_ops.shopify_text(address, 'city') else c.city end,
        region = case when names_address then raw_ops.shopify_text(address, 'province') else c.region end,
        postcode = case when names_address then raw_ops.shopify_text(address, 'zip') else c.postcode end,
        country_code = case when names_address then raw_ops.shopify_text(address, 'country_code') else c.country_code end,
        updated_at_shopify = apply_shopify_customer.updated_at
    where c.id = customer;
    perform set_config('rawops.address_source', '', true);
end
$$;
