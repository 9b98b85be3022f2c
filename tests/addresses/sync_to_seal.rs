//! Subscriptions follow their customer, and Seal is never written to twice for one change.

use sandbox::Fault;
use serde_json::{Value, json};

use super::{SUBSCRIPTION, at_seal, errors, moves, settled, states, subscribe, subscription};
use crate::orders::inbox::execute;
use crate::outbox::retry_at_once;
use crate::support::{Database, Outside, run_all, shelf::rows};

async fn output(db: &Database) -> Value {
    rows(db.pool(), "select output from engine.job_state where kind = 'addresses.sync_to_seal' order by id desc limit 1").await[0][0]
        .clone()
}

#[tokio::test]
async fn a_subscription_is_read_compared_and_written_with_the_address_alone() {
    let (db, outside) = settled().await;
    moves(db.pool(), "2 New Road", "YO1 7EP").await;
    run_all(&db, outside.kinds()).await;
    let id = SUBSCRIPTION.to_string();
    assert_eq!(output(&db).await, json!({ "state": "synced", "told": { "moved": [id], "there": [], "elsewhere": [] } }));
    let written = json!({ "id": SUBSCRIPTION, "action": "edit", "s_address1": "2 New Road", "s_address2": "", "s_city": "York",
        "s_zip": "YO1 7EP", "s_country_code": "GB" });
    assert_eq!(outside.seal.writes(), [written]);
    moves(db.pool(), "2 NEW ROAD", "YO1 7EP").await;
    run_all(&db, outside.kinds()).await;
    assert_eq!(output(&db).await["told"]["there"], json!([id]));
    assert_eq!(outside.seal.writes().len(), 1, "it was there");
}

/// Of what was not done a later attempt reads again and writes; of what nobody knows the same attempt reads back.
#[tokio::test]
async fn after_any_fault_the_address_is_there_and_was_written_once() {
    let (db, outside) = settled().await;
    retry_at_once(db.pool()).await;
    // With the first read, and with the write.
    let cases = [
        (0, Fault::LostReply),
        (1, Fault::Status(500)),
        (1, Fault::Status(503)),
        (1, Fault::RateLimited(0)),
        (1, Fault::Reset),
        (1, Fault::LostReply),
        (1, Fault::Garbage),
    ];
    for (n, (sound, fault)) in (1_usize..).zip(cases) {
        outside.seal.ask_after(sound, [fault]);
        moves(db.pool(), &format!("{n} New Road"), "YO1 7EP").await;
        run_all(&db, outside.kinds()).await;
        assert_eq!(at_seal(&outside), (json!(format!("{n} New Road")), n), "{sound} {fault:?}");
        let attempts = "select count(*) from engine.attempt where outcome = 'failed' and job_id = (select max(id) from engine.job_state
            where kind = 'addresses.sync_to_seal')";
        let is_known_at_once = sound == 1 && matches!(fault, Fault::LostReply | Fault::Garbage);
        assert_eq!(rows(db.pool(), attempts).await, json!([[i64::from(!is_known_at_once)]]), "{sound} {fault:?}");
    }
}

#[tokio::test]
async fn of_several_subscriptions_those_move_that_went_to_the_address_from_before() {
    let (db, outside) = settled().await;
    for (id, line, zip) in [(2, "5 Gran's Cottage", "EX1 1AA"), (3, "", ""), (4, "1 OLD ROAD", "yo17ep")] {
        subscribe(db.pool(), id).await;
        outside.seal.put(subscription(id, line, zip));
    }
    subscribe(db.pool(), 5).await;
    execute(db.pool(), "update raw_ops.subscriptions set status = 'cancelled' where seal_subscription_id = '5'").await;
    moves(db.pool(), "2 New Road", "YO1 7EP").await;
    run_all(&db, outside.kinds()).await;
    let told = output(&db).await["told"].clone();
    assert_eq!(told, json!({ "moved": ["3", "4", SUBSCRIPTION.to_string()], "there": [], "elsewhere": ["2"] }));
    assert_eq!(outside.seal.subscription(2).expect("it is there")["s_address1"], "5 Gran's Cottage");
    // Where none did, a person says which is to move.
    for id in [3, 4, SUBSCRIPTION] {
        outside.seal.put(subscription(id, "7 Elsewhere", "EX1 1AA"));
    }
    moves(db.pool(), "3 New Road", "YO1 7EP").await;
    run_all(&db, outside.kinds()).await;
    assert_eq!(states(db.pool()).await, json!([["synced", "synced"], ["synced", "failed"]]));
    assert!(errors(db.pool()).await["seal_error"].as_str().is_some_and(|words| words.contains("say in Seal which is to move")));
    assert_eq!(rows(db.pool(), "select category from raw_ops.dead_letter_queue").await, json!([["business_rule"]]));
}

/// The first of two quick changes is told to nobody, so subscriptions are still where it found them.
#[tokio::test]
async fn a_change_that_was_overtaken_leaves_no_subscription_at_the_address_from_before_it() {
    let (db, outside) = settled().await;
    for (id, line, zip) in [(2, "5 Gran's Cottage", "EX1 1AA"), (3, "3 New Road", "YO1 7EP")] {
        subscribe(db.pool(), id).await;
        outside.seal.put(subscription(id, line, zip));
    }
    for line in ["2 New Road", "3 New Road"] {
        moves(db.pool(), line, "YO1 7EP").await;
    }
    run_all(&db, outside.kinds()).await;
    assert_eq!(states(db.pool()).await, json!([["superseded", "superseded"], ["synced", "synced"]]));
    assert_eq!(output(&db).await["told"], json!({ "moved": [SUBSCRIPTION.to_string()], "there": ["3"], "elsewhere": ["2"] }));
    // What was told is settled: whoever has since sent a box to the old address means it.
    outside.seal.put(subscription(2, "1 Old Road", "YO1 7EP"));
    moves(db.pool(), "4 New Road", "YO1 7EP").await;
    run_all(&db, outside.kinds()).await;
    assert_eq!(output(&db).await["told"], json!({ "moved": ["3", SUBSCRIPTION.to_string()], "there": [], "elsewhere": ["2"] }));
}

#[tokio::test]
async fn what_seal_refuses_fails_with_its_words_and_a_customer_without_a_subscription_needs_nothing() {
    let (db, outside) = settled().await;
    let mut ended = subscription(SUBSCRIPTION, "1 Old Road", "YO1 7EP");
    ended["status"] = json!("CANCELLED");
    outside.seal.put(ended);
    moves(db.pool(), "2 New Road", "YO1 7EP").await;
    run_all(&db, outside.kinds()).await;
    assert_eq!(errors(db.pool()).await["seal_error"], "Seal: refused: Subscription is cancelled");
    execute(db.pool(), "update raw_ops.subscriptions set status = 'cancelled'").await;
    moves(db.pool(), "3 New Road", "YO1 7EP").await;
    run_all(&db, outside.kinds()).await;
    assert_eq!(states(db.pool()).await, json!([["synced", "failed"], ["synced", "not_needed"]]));
}

#[tokio::test]
async fn an_outage_of_one_system_keeps_the_address_from_no_other() {
    let (db, outside) = settled().await;
    retry_at_once(db.pool()).await;
    execute(db.pool(), "update raw_ops.retry_config set max_attempts = 3").await;
    outside.seal.always(Some(Fault::Status(503)));
    let change = moves(db.pool(), "2 New Road", "YO1 7EP").await;
    run_all(&db, outside.kinds()).await;
    assert_eq!(states(db.pool()).await, json!([["synced", "failed"]]));
    outside.seal.always(None);
    sqlx::query("select raw_ops.sync_address_change($1, null)").bind(change).execute(db.pool()).await.expect("it is there");
    end_of_outage(&db, &outside).await;
}

async fn end_of_outage(db: &Database, outside: &Outside) {
    // The breaker that the outage opened would hold the job for its cool-down.
    execute(db.pool(), "delete from engine.breaker_count").await;
    execute(db.pool(), "update engine.breaker set state = 'closed' where state <> 'closed'").await;
    run_all(db, outside.kinds()).await;
    assert_eq!(states(db.pool()).await, json!([["synced", "synced"]]));
    assert_eq!(at_seal(outside), (json!("2 New Road"), 1));
}
