//! I14: a webhook that was answered with 200 is in the inbox as it was sent, and the order is as the shop says.

use std::collections::{BTreeMap, HashMap};

use super::Finding;
use crate::{
    facts::Facts,
    workload::shop::{DISORDER, shop},
};

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("I14", "what was answered with 200 is in the inbox, and becomes one order");
    let shop = shop(facts.seed);
    let mut hooks: HashMap<&str, Vec<&[u8]>> = HashMap::new();
    for hook in &facts.hooks {
        hooks.entry(&hook.webhook_id).or_default().push(&hook.raw_body);
    }
    let mut accepted: BTreeMap<u64, usize> = BTreeMap::new();
    for hook in &facts.accepted {
        let delivery = &shop.deliveries(hook.order, &DISORDER)[hook.delivery];
        let id = delivery.webhook_id.to_string();
        let stored = hooks.get(id.as_str()).is_some_and(|bodies| bodies.len() == 1 && bodies[0] == &*delivery.body);
        finding.holds(stored, || format!("webhook {id} of order {} was accepted and is not stored once, byte for byte", hook.order));
        *accepted.entry(hook.order).or_default() += 1;
    }
    for hook in &facts.hooks {
        let open = matches!(hook.processing_status.as_str(), "pending" | "processing");
        finding.holds(!open, || format!("webhook {} is still {}", hook.webhook_id, hook.processing_status));
    }
    for (order, deliveries) in accepted {
        if deliveries < shop.deliveries(order, &DISORDER).len() {
            continue;
        }
        let truths = shop.truths(order);
        let truth = truths.last().expect("an order has a version");
        let stored: Vec<_> = facts.orders.iter().filter(|stored| stored.id == truth.order_id).collect();
        let right = stored.len() == 1 && stored[0].updated_at == truth.updated_at;
        finding.holds(right, || format!("order {} must be there once, of {}: {stored:?}", truth.name, truth.updated_at));
    }
    finding
}
