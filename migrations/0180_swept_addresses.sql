-- Changes of address that are to be told and have no job are found by a sweep: somebody cancelled the job, or its worker died for
-- good before the row could say so. To call a change off, set its state to `not_needed`, and not its job.
-- Locks: share on raw_ops.address_changes while its index is made; at run time each row in turn.

create index address_changes_open on raw_ops.address_changes (number)
where shopify_state in ('pending', 'telling') or seal_state in ('pending', 'telling');

-- Makes the jobs of so many changes that have none, and that were not made just now. Returns how many, and how many are refused.
-- Locks: each row in turn.
create function raw_ops.sweep_address_changes(max_rows integer default 500, out started integer, out refused integer)
language plpgsql
as $$
declare
    late timestamptz := engine.now() - interval '5 minutes';
    lost record;
begin
    started := 0;
    refused := 0;
    for lost in
        select a.id, t.target, t.kind
        from raw_ops.address_changes a
        cross join lateral (values
            ('shopify', 'addresses.sync_to_shopify', a.shopify_state, a.shopify_begun_at),
            ('seal', 'addresses.sync_to_seal', a.seal_state, a.seal_begun_at)) t (target, kind, state, begun_at)
        where (a.shopify_state in ('pending', 'telling') or a.seal_state in ('pending', 'telling'))
          and t.state in ('pending', 'telling') and coalesce(t.begun_at, a.created_at) < late
          and not exists (select from engine.unique_key u where u.kind = t.kind and u.key = a.id::text)
        -- Drawn by lot: rows that are refused each time never fill every sweep.
        order by random()
        limit max_rows
    loop
        begin
            perform from raw_ops.address_changes a where a.id = lost.id for update;
            -- The one who held it may have told of it meanwhile.
            perform raw_ops.set_address_state(a.id, lost.target, 'pending',
                case lost.target when 'shopify' then a.shopify_error else a.seal_error end)
            from raw_ops.address_changes a
            where a.id = lost.id and raw_ops.address_state(a, lost.target) in ('pending', 'telling');
            if found then
                started := started + 1;
            end if;
        exception when others then
            refused := refused + 1;
            raise warning 'the change of address % cannot be dealt with: %', lost.id, sqlerrm;
        end;
    end loop;
end
$$;
