-- A time whose zone is written as a small z is one of UTC, and not of London.
--
-- Locks: none.

-- As 0147.
create or replace function raw_ops.courier_time(written text) returns timestamptz
language sql stable parallel safe
as $$
    select case
        when written ~* '(Z|[+-][0-9]{2}:?[0-9]{2})$' then written::timestamptz
        else written::timestamp at time zone 'Europe/London'
    end
$$;
