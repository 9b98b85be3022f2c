-- Whether this process's user may do what callers of the API ask for.
-- Caller: rights.rs
select has_table_privilege('raw_ops.api_tokens', 'select') and has_table_privilege('engine.job', 'insert')
    and has_function_privilege('engine.ask_cancel(bigint, text, text)', 'execute') as may
