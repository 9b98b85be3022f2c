-- As 0252, for the trigger of customers.
alter function raw_ops.count_due_customers() set jit = off;
