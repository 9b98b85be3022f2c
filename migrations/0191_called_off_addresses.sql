-- A change of address is called off by a function that operators may call: until now they were told to write to the row, which they
-- may not, and a job that they cancelled came again with the next sweep. The sweep looks at all of a row again once it holds it,
-- takes no row that somebody holds, visits rows in the order in which everybody locks them, and says so when rows are refused.
-- Locks: none but for the functions that are replaced; at run time the row of the change.

-- Calls a change off, for all who have not been told of it yet. Returns where it stands with each. The customer's row keeps the address.
-- Errors: P0002 when there is no such change; 22023 without a name, when nobody is left to tell, or while somebody is being told.
create function raw_ops.call_off_address_change(change_id uuid, by_whom text) returns table (shopify text, seal text)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    change raw_ops.address_changes;
    words text := format('called off by %s', btrim(by_whom));
begin
    if coalesce(btrim(by_whom), '') = '' then
        raise exception 'a change is called off with the name of who does it' using errcode = '22023';
    end if;
    select * into change from raw_ops.address_changes a where a.id = change_id for update;
    if not found then
        raise exception 'there is no change of address %', change_id using errcode = 'P0002';
    elsif change.shopify_state = 'telling' or change.seal_state = 'telling' then
        raise exception 'change % is being told just now: Shopify is %, Seal is %; try again in a minute', change_id,
            change.shopify_state, change.seal_state using errcode = '22023';
    elsif not (change.shopify_state in ('pending', 'failed') or change.seal_state in ('pending', 'failed')) then
        raise exception 'change % is told to nobody any more: Shopify is %, Seal is %', change_id,
            change.shopify_state, change.seal_state using errcode = '22023';
    end if;
    if change.shopify_state in ('pending', 'failed') then
        perform raw_ops.set_address_state(change_id, 'shopify', 'not_needed', words);
    end if;
    if change.seal_state in ('pending', 'failed') then
        perform raw_ops.set_address_state(change_id, 'seal', 'not_needed', words);
    end if;
    perform raw_ops.log_event('CUSTOMER', change.customer_id, 'address_change_called_off',
        format('%s called off a change of address: Shopify was %s, Seal was %s', btrim(by_whom), change.shopify_state, change.seal_state),
        jsonb_build_object('by', btrim(by_whom), 'change_id', change_id), null, change_id);
    return query select a.shopify_state, a.seal_state from raw_ops.address_changes a where a.id = change_id;
end
$$;
revoke execute on function raw_ops.call_off_address_change(uuid, text) from public;

-- As 0169; a change that was called off moved nothing.
create or replace function raw_ops.addresses_before(change_id uuid, target text) returns jsonb
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
          -- The target kept nothing that could have been moved, unless somebody called the change off, which is said in words. What
          -- Shopify's documents say moves nothing either.
          when 'not_needed' then a.source is distinct from 'shopify' and raw_ops.is_address(a.new_address)
              and case target when 'shopify' then a.shopify_error else a.seal_error end is null
          else false
      end;
    return coalesce((
        select jsonb_agg(distinct a.old_address)
        from raw_ops.address_changes a
        where a.customer_id = change.customer_id and a.number between coalesce(settled, 0) + 1 and change.number
          and jsonb_typeof(a.old_address) = 'object'), '[]');
end
$$;

-- Whether a change is to be told to a target, was not begun since `late`, and has no job.
create function raw_ops.is_address_forgotten(change raw_ops.address_changes, target text, late timestamptz) returns boolean
language sql stable
as $$
    select raw_ops.address_state(change, target) in ('pending', 'telling')
        and coalesce(case target when 'shopify' then change.shopify_begun_at else change.seal_begun_at end, change.created_at) < late
        and not exists (select from engine.unique_key u where u.kind = 'addresses.sync_to_' || target and u.key = change.id::text)
$$;

-- As 0180. Locks: each row in turn, by number.
create or replace function raw_ops.sweep_address_changes(max_rows integer default 500, out started integer, out refused integer)
language plpgsql
as $$
declare
    late timestamptz := engine.now() - interval '5 minutes';
    lost record;
    words text;
begin
    started := 0;
    refused := 0;
    for lost in
        select d.id, d.target
        from (
            select a.id, a.number, t.target
            from raw_ops.address_changes a cross join (values ('shopify'), ('seal')) t (target)
            where (a.shopify_state in ('pending', 'telling') or a.seal_state in ('pending', 'telling'))
              and raw_ops.is_address_forgotten(a, t.target, late)
            -- Drawn by lot: rows that are refused each time never fill every sweep.
            order by random()
            limit max_rows
        ) d
        order by d.number, d.target
    loop
        begin
            -- A statement of its own: what the holder before has written is seen after it.
            perform from raw_ops.address_changes a where a.id = lost.id for update skip locked;
            continue when not found;
            perform raw_ops.set_address_state(a.id, lost.target, 'pending',
                case lost.target when 'shopify' then a.shopify_error else a.seal_error end)
            from raw_ops.address_changes a
            where a.id = lost.id and raw_ops.is_address_forgotten(a, lost.target, late);
            if found then
                started := started + 1;
            end if;
        exception when others then
            refused := refused + 1;
            words := sqlerrm;
            raise warning 'the change of address % cannot be dealt with: %', lost.id, words;
        end;
    end loop;
    if refused > 0 then
        perform raw_ops.raise_alert('warning', 'Changes of address cannot be told', format(
            '%s changes of address wait without a job and cannot be given one: %s', refused, words),
            key => 'address changes refused', source_check => 'addresses');
    end if;
end
$$;
