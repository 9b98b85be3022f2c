-- The release of a batch from QA hold, and what follows from it.
--
-- Only a batch whose lab result in force is a PASS is released. Whoever wrote PASS applied the sampling plan; what the
-- law and the house say about raw petfood is looked at once more here, because nothing after this line stops a batch:
-- Salmonella absent in 25 g, Enterobacteriaceae under 5,000 CFU/g in every sample and over 10 in two of five at most
-- (Regulation 142/2011, Annex XIII, chapter II), Listeria not detected (a rule of the house, a setting).
-- Locks: share-row-exclusive on batches, for a moment. At run time: the product, then the batch.

-- What the samples of a lab result say against a release; null when nothing, also when none are recorded.
create function raw_ops.lab_samples_refusal(result uuid) returns text
language sql stable
as $$
    select case
        when count(*) = 0 then null
        when bool_or(s.salmonella_absent is not true) then 'absence of Salmonella is not stated for every sample'
        when bool_or(s.enterobacteriaceae_cfu_per_g is null or s.enterobacteriaceae_operator = '>')
            then 'Enterobacteriaceae are not counted in every sample'
        when max(s.enterobacteriaceae_cfu_per_g) >= 5000 then 'a sample has 5000 CFU/g of Enterobacteriaceae or more'
        when count(*) filter (where s.enterobacteriaceae_cfu_per_g > 10) > 2
            then 'more than two samples have over 10 CFU/g of Enterobacteriaceae'
    end
    from raw_ops.lab_result_samples s where s.lab_result_id = result
$$;

-- What a lab result says against a release; null when nothing.
create function raw_ops.lab_result_refusal(result raw_ops.lab_results) returns text
language sql stable
as $$
    select case
        when result.id is null then 'it has no lab result'
        when result.outcome <> 'PASS' then format('its lab result is %s and not PASS', result.outcome)
        when result.salmonella_absent is not true then 'its lab result does not state that Salmonella is absent in 25 g'
        when result.listeria_absent is not true and raw_ops.threshold('lab.listeria_required') <> 0
            then 'its lab result does not state that Listeria was not detected in 25 g'
        when result.enterobacteriaceae_cfu_per_g is null or result.enterobacteriaceae_operator = '>'
            then 'its lab result has no count of Enterobacteriaceae'
        when result.enterobacteriaceae_cfu_per_g >= 5000 then 'its lab result has 5000 CFU/g of Enterobacteriaceae or more'
        when result.reported_at > engine.now() then 'its lab result is dated in the future'
        when exists (select from raw_ops.lab_results o where o.pdf_hash = result.pdf_hash and o.batch_id <> result.batch_id)
            then 'the document of its lab result was used for another batch'
        else raw_ops.lab_samples_refusal(result.id)
    end
$$;

-- Why a batch cannot be released; null when it can.
create function raw_ops.release_refusal(batch raw_ops.batches, result raw_ops.lab_results) returns text
language sql stable
as $$
    select case
        when batch.status <> 'QA_HOLD' then format('it is %s and not in QA hold', batch.status)
        when batch.product_id is null then 'it names no product'
        when batch.expiry_date is null then 'it has no expiry date'
        when batch.expiry_date < raw_ops.today() then format('it expired on %s', batch.expiry_date)
        when (result.reported_at at time zone 'Europe/London')::date < batch.produced_at
            then 'its lab result is older than the batch'
        else raw_ops.lab_result_refusal(result)
    end
$$;

-- Releases a batch from QA hold; orders that wait for its product are looked at again, the oldest first.
--
-- outcome is `released`, or `already_released` when there was nothing to do. Errors: 22023 when there is no such batch,
-- P0001 with the reason when it cannot be released.
create function raw_ops.release_batch(batch_id uuid, released_by text default session_user)
returns table (outcome text, batch_code text, released_at timestamptz, lab_result_id uuid)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    batch raw_ops.batches;
    result raw_ops.lab_results;
    reason text;
begin
    perform raw_ops.lock_products(array(select b.product_id from raw_ops.batches b where b.id = $1));
    select * into batch from raw_ops.batches b where b.id = $1 for no key update;
    if not found then
        raise exception 'there is no batch %', $1 using errcode = '22023';
    end if;
    select * into result from raw_ops.lab_results r where r.batch_id = $1 for share;
    batch_code := batch.batch_code;
    lab_result_id := result.id;
    if batch.status = 'RELEASED' then
        outcome := 'already_released';
        released_at := batch.released_at;
        return next;
        return;
    end if;
    reason := raw_ops.release_refusal(batch, result);
    if reason is not null then
        raise exception 'batch % is not released: %', batch.batch_code, reason;
    end if;

    outcome := 'released';
    released_at := engine.now();
    update raw_ops.batches b set status = 'RELEASED', released_at = release_batch.released_at where b.id = $1;
    perform raw_ops.record_release(batch, result.id, released_by, released_at);
    return next;
end
$$;
revoke execute on function raw_ops.release_batch(uuid, text) from public;

-- The audit of a release.
create function raw_ops.record_release(batch raw_ops.batches, result uuid, released_by text, at timestamptz) returns void
language plpgsql
as $$
begin
    insert into raw_ops.batch_status_history (batch_id, old_status, new_status, triggered_by, lab_result_id, created_at)
    values (batch.id, batch.status, 'RELEASED', released_by, result, at);
    perform raw_ops.log_event('BATCH', batch.id, 'batch_released', format('%s released batch %s', released_by, batch.batch_code),
        jsonb_build_object('batch_code', batch.batch_code, 'lab_result_id', result, 'released_by', released_by,
            'qty_on_hand', batch.qty_on_hand), null, result);
end
$$;

-- A batch that becomes released, by whatever statement: its product's snapshot and the orders that wait for it.
create function raw_ops.allocate_pending_orders() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform raw_ops.refresh_on_hand(new.product_id);
    perform raw_ops.wake_waiting_orders(new.product_id);
    return null;
end
$$;
revoke execute on function raw_ops.allocate_pending_orders() from public;

create trigger trg_allocate_pending_on_release
after update of status on raw_ops.batches
for each row when (new.status = 'RELEASED' and old.status <> 'RELEASED' and new.product_id is not null)
execute function raw_ops.allocate_pending_orders();
