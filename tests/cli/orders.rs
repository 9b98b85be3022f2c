//! `rawops orders`.

use jobs::export::CollectOrders;

use super::program::rawops;
use crate::export::{run, stands, waiting};
use crate::orders::inbox::execute;
use crate::support::{Database, Outside};

#[tokio::test]
async fn an_order_that_the_packer_stopped_is_ended_on_the_command_line() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    waiting(db.pool(), 1).await;
    run(&db, &outside, CollectOrders {}).await;
    let stop = ["orders", "stopped", "PR#1"];
    let said = rawops(&db.url(), &stop).await.refusal(1);
    assert!(said.contains("order PR#1 was not sent, and Shopify has not ended it: cancel it there first"), "{said}");
    execute(db.pool(), "update raw_ops.orders set notes_json = '{\"financial_status\": \"voided\"}'").await;
    assert_eq!(rawops(&db.url(), &stop).await.ok().out, "order PR#1 was not sent: it has ended and its stock is back\n");
    assert_eq!(stands(&db).await, serde_json::json!([["#1", "CANCELLED", "stopped"]]));
    assert_eq!(rawops(&db.url(), &["orders", "stopped", "#1"]).await.ok().out, "order #1 had been stopped before\n");
    assert_eq!(rawops(&db.url(), &["orders", "stopped", "#1", "--json"]).await.ok().json()["before"], true);
}
