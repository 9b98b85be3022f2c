//! Shopify has a customer's newest address, written once, or the row says why not.

use sandbox::Fault;
use serde_json::{Value, json};

use super::{CUSTOMER, at_shopify, errors, moves, settled, states};
use crate::orders::inbox::execute;
use crate::outbox::retry_at_once;
use crate::support::{outside, run_all, shelf::rows};

#[tokio::test]
async fn the_default_address_is_updated_and_only_when_it_differs() {
    let (db, outside) = settled().await;
    moves(db.pool(), "2 New Road", "yo17ep").await;
    run_all(&db, outside.kinds()).await;
    assert_eq!(at_shopify(&outside), (json!("2 New Road"), 1));
    // The same place, written in another way.
    moves(db.pool(), "2, new road", "YO1 7EP").await;
    run_all(&db, outside.kinds()).await;
    assert_eq!(at_shopify(&outside), (json!("2 New Road"), 1));
    assert_eq!(states(db.pool()).await, json!([["synced", "synced"], ["synced", "synced"]]));
    let tracked =
        "select shopify_synced, shopify_synced_at is not null, seal_synced, seal_synced_at is not null from raw_ops.address_changes";
    assert_eq!(rows(db.pool(), tracked).await, json!([[true, true, true, true], [true, true, true, true]]));
}

#[tokio::test]
async fn a_customer_without_an_address_there_gets_one_with_the_name_and_one_unknown_there_needs_none() {
    let (db, outside) = settled().await;
    outside.shopify.put_customer(CUSTOMER, None);
    moves(db.pool(), "2 New Road", "YO1 7EP").await;
    run_all(&db, outside.kinds()).await;
    let (address, writes) = outside.shopify.address(CUSTOMER);
    let address = address.expect("one was added");
    assert_eq!(
        (&address["firstName"], &address["lastName"], &address["zip"], writes),
        (&json!("Ann"), &json!("Ash"), &json!("YO1 7EP"), 1)
    );
    execute(db.pool(), "update raw_ops.customers set shopify_customer_id = null").await;
    moves(db.pool(), "3 New Road", "YO1 7EP").await;
    run_all(&db, outside.kinds()).await;
    assert_eq!(states(db.pool()).await, json!([["synced", "synced"], ["not_needed", "synced"]]));
}

#[tokio::test]
async fn user_errors_are_failures_that_say_what_is_wrong() {
    let (db, outside) = settled().await;
    moves(db.pool(), "2 New Road", "1").await;
    run_all(&db, outside.kinds()).await;
    assert_eq!(states(db.pool()).await, json!([["failed", "synced"]]));
    assert_eq!(errors(db.pool()).await["shopify_error"], "Shopify: refused: address.zip: Zip is not valid for United Kingdom");
    let letter = rows(db.pool(), "select topic, category from raw_ops.dead_letter_queue").await;
    assert_eq!(letter, json!([["addresses.sync_to_shopify", "validation"]]));
    assert_eq!(at_shopify(&outside), (json!("1 Old Road"), 0));
}

/// Whatever goes wrong with whichever of the two requests, the address is written once.
#[tokio::test]
async fn after_any_fault_the_address_is_there_and_was_written_once() {
    let (db, outside) = settled().await;
    retry_at_once(db.pool()).await;
    // With the question, and with the change.
    let cases = [
        (0, Fault::Status(500)),
        (0, Fault::RateLimited(0)),
        (1, Fault::Status(503)),
        (1, Fault::Reset),
        (1, Fault::LostReply),
        (1, Fault::Garbage),
    ];
    for (n, (sound, fault)) in (1_u64..).zip(cases) {
        outside.shopify.ask_after(sound, [fault]);
        moves(db.pool(), &format!("{n} New Road"), "YO1 7EP").await;
        run_all(&db, outside.kinds()).await;
        assert_eq!(at_shopify(&outside), (json!(format!("{n} New Road")), n), "{sound} {fault:?}");
    }
    assert_eq!(
        rows(db.pool(), "select distinct shopify_state, shopify_error from raw_ops.address_changes").await,
        json!([["synced", null]])
    );
}

#[tokio::test]
async fn the_newest_change_wins_whichever_job_comes_first() {
    let (db, outside) = settled().await;
    let older = moves(db.pool(), "2 New Road", "YO1 7EP").await;
    moves(db.pool(), "3 New Road", "YO1 7EP").await;
    run_all(&db, outside.kinds()).await;
    assert_eq!(states(db.pool()).await, json!([["superseded", "superseded"], ["synced", "synced"]]));
    assert_eq!(at_shopify(&outside), (json!("3 New Road"), 1));
    // Changes take turns: the newer one waits for the older one that is being told, but not for one that was left so.
    let newest = moves(db.pool(), "4 New Road", "YO1 7EP").await;
    let step = async |at: &str| -> Value {
        let clause = format!("update raw_ops.address_changes set shopify_state = 'telling', shopify_begun_at = {at} where id = '{older}'");
        execute(db.pool(), &clause).await;
        let mut tx = db.pool().begin().await.expect("a transaction");
        let step: String = sqlx::query_scalar("select step from raw_ops.begin_address_sync($1, 'shopify')")
            .bind(newest)
            .fetch_one(&mut *tx)
            .await
            .expect("the change is there");
        json!(step)
    };
    assert_eq!(step("engine.now()").await, "wait");
    assert_eq!(step("engine.now() - interval '6 minutes'").await, "tell");
    execute(db.pool(), "update raw_ops.address_changes set shopify_state = 'superseded' where shopify_state = 'telling'").await;
    run_all(&db, outside.kinds()).await;
    assert_eq!(at_shopify(&outside), (json!("4 New Road"), 2));
}

#[tokio::test]
async fn without_keys_nothing_is_called_and_the_row_names_the_setting() {
    let (db, _outside) = settled().await;
    execute(db.pool(), "update raw_ops.retry_config set max_attempts = 1 where error_category = 'auth'").await;
    moves(db.pool(), "2 New Road", "YO1 7EP").await;
    run_all(&db, outside::with(&jobs::clients::Settings::default())).await;
    assert_eq!(states(db.pool()).await, json!([["failed", "failed"]]));
    let words = errors(db.pool()).await;
    assert_eq!(words["shopify_error"], "Shopify: SHOPIFY_ADMIN_TOKEN is not set, so nothing was asked");
    assert_eq!(words["seal_error"], "Seal: SEAL_API_TOKEN is not set, so nothing was asked");
}
