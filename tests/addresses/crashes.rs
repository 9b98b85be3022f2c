//! The crash matrix: the worker stops after each step of telling a change, and the job runs again.

use serde_json::json;

use super::{SUBSCRIPTION, at_seal, at_shopify, moves, settled, shown, states, subscription};
use crate::support::run_all;

/// What a worker has done before it dies: the row says `telling`; the system has the address; the row says so.
#[tokio::test]
async fn stopped_after_any_step_each_system_has_the_address_and_was_written_to_once() {
    for (step, is_written, is_settled) in [("begun", false, false), ("written", true, false), ("settled", true, true)] {
        let (db, outside) = settled().await;
        let change = moves(db.pool(), "2 New Road", "YO1 7EP").await;
        for target in ["shopify", "seal"] {
            sqlx::query("select raw_ops.begin_address_sync($1, $2)").bind(change).bind(target).execute(db.pool()).await.expect("begun");
            if is_settled {
                let settle = "select raw_ops.settle_address_sync($1, $2, 'synced', null)";
                sqlx::query(settle).bind(change).bind(target).execute(db.pool()).await.expect("settled");
            }
        }
        if is_written {
            outside.shopify.put_customer(super::CUSTOMER, Some(shown("2 New Road", "YO1 7EP")));
            outside.seal.put(subscription(SUBSCRIPTION, "2 New Road", "YO1 7EP"));
        }
        run_all(&db, outside.kinds()).await;
        let written = usize::from(!is_written);
        assert_eq!(states(db.pool()).await, json!([["synced", "synced"]]), "{step}");
        assert_eq!(at_shopify(&outside), (json!("2 New Road"), written as u64), "{step}");
        assert_eq!(at_seal(&outside), (json!("2 New Road"), written), "{step}");
    }
}
