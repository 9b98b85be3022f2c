-- The lists of a claim are long enough to be compressed when they are written, and pglz took longer for that than most of what a claim does.
do $$
begin
    alter table engine.claim alter column ids set compression lz4, alter column attempts set compression lz4;
exception when feature_not_supported then
    raise notice 'this server was built without lz4: claims are compressed by pglz as before';
end
$$;
