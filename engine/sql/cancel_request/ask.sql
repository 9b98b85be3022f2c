-- Ask that job $1 stop, for operator $2, with reason $3. Committed before its place is looked for, so that whoever moves it
-- from now on sees it.
-- Caller: store/cancel_request.rs
select engine.ask_cancel($1, $2, $3) as asked
