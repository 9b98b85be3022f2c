-- Store a verified report of a mail and do what follows from it: $1 the report, $2 its metric, $3 when, $4 the vendor's id
-- of the mail, $5 ours, $6 the event that started the campaign, $7 the person, $8 whether it is a single mail, $9 why.
-- Caller: webhooks/customerio.rs
select raw_ops.take_delivery_report($1, $2, to_timestamp($3), $4, $5, $6, $7, $8, $9)
