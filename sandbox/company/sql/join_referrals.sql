-- Note on the referrals $1 the orders $2 they led to.
-- Locks: the referrals, all of this transaction. Caller: company/copy.rs
update raw_ops.referrals r set referee_order_id = u.order_id
from unnest($1::uuid[], $2::uuid[]) u (referral_id, order_id)
where r.id = u.referral_id
