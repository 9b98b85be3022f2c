//! What a mail's row says after each thing that can happen to its request.

use engine::{Client, Ending};
use sandbox::{Fault, customerio::Options};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::{mail, put, put_payload, retry_at_once};
use crate::support::{Database, Outside, ledger, outside, run_all};

async fn ending(pool: &PgPool) -> Option<Ending> {
    let job: i64 = sqlx::query_scalar("select max(id) from engine.job_state where kind = 'outbox.deliver_message'")
        .fetch_one(pool)
        .await
        .expect("a job was made");
    Client::new(pool.clone()).ending(engine::JobId(job)).await.expect("it is known")
}

#[tokio::test]
async fn a_row_becomes_one_mail_and_says_so_with_the_end_of_its_job() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    let id = put(db.pool(), "ann+1@example.com").await;
    run_all(&db, outside.kinds()).await;
    let [sent] = &outside.customerio.messages()[..] else { panic!("one mail is sent") };
    let row = mail(db.pool(), id).await;
    assert_eq!((row.state.as_str(), row.attempts, &row.error_message), ("sent", 1, &None));
    assert_eq!(row.delivery_id.as_ref(), Some(&sent.delivery_id));
    assert_eq!((sent.to.as_str(), sent.header("X-Rawops-Message")), ("ann+1@example.com", Some(id.to_string().as_str())));
    assert_eq!((&sent.identifiers, &sent.template), (&json!({ "email": "ann+1@example.com" }), &json!("order_dispatched")));
    assert_eq!(ending(db.pool()).await, Some(Ending::Completed(json!({ "state": "sent", "delivery_id": sent.delivery_id }))));
    ledger::check(db.pool()).await;
}

#[tokio::test]
async fn what_the_vendor_certainly_did_not_do_is_tried_again() {
    for fault in [Fault::RateLimited(0), Fault::Status(503), Fault::Status(408), Fault::Status(403)] {
        let (db, outside) = (Database::new().await, Outside::start().await);
        retry_at_once(db.pool()).await;
        outside.customerio.ask([fault; 2]);
        let id = put(db.pool(), "ann@example.com").await;
        run_all(&db, outside.kinds()).await;
        let row = mail(db.pool(), id).await;
        assert_eq!((row.state.as_str(), row.attempts, outside.customerio.message_count()), ("sent", 3, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn a_vendor_that_cannot_be_reached_is_tried_again_until_it_is() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    retry_at_once(db.pool()).await;
    let mut settings = outside.settings();
    settings.customerio.app_url = Some("http://127.0.0.1:9/v1".into());
    sqlx::query("update raw_ops.retry_config set max_attempts = 2, alert_on_attempt = null, escalate_on_attempt = null where error_category = 'network'")
        .execute(db.pool())
        .await
        .expect("the policy is data");
    let id = put(db.pool(), "ann@example.com").await;
    run_all(&db, outside::with(&settings)).await;
    let row = mail(db.pool(), id).await;
    assert_eq!((row.state.as_str(), row.attempts), ("failed", 2), "dead, and nothing was sent");
    // What a person puts back is sent.
    sqlx::query("select raw_ops.resolve_message($1, 'pending', 'ada')").bind(id).execute(db.pool()).await.expect("a person may");
    run_all(&db, outside.kinds()).await;
    assert_eq!((mail(db.pool(), id).await.state.as_str(), outside.customerio.message_count()), ("sent", 1));
}

#[tokio::test]
async fn a_mail_of_unknown_outcome_is_parked_and_never_sent_again_by_itself() {
    // How many mails the vendor has then.
    let faults = [
        (Fault::Status(500), 0),
        (Fault::Status(502), 0),
        (Fault::Reset, 0),
        (Fault::Hang, 0),
        (Fault::LostReply, 1),
        (Fault::LateReply, 1),
        (Fault::Garbage, 1),
    ];
    for (fault, sent) in faults {
        let (db, outside) = (Database::new().await, Outside::start().await);
        retry_at_once(db.pool()).await;
        outside.customerio.ask([fault]);
        let id = put(db.pool(), "ann@example.com").await;
        run_all(&db, outside.kinds()).await;
        let row = mail(db.pool(), id).await;
        assert_eq!((row.state.as_str(), row.attempts, &row.delivery_id), ("unknown", 1, &None), "{fault:?}");
        assert!(row.error_message.is_some_and(|words| words.starts_with("Customer.io: ") && !words.contains("ann@")), "{fault:?}");
        assert_eq!(ending(db.pool()).await, Some(Ending::Completed(json!({ "state": "unknown", "delivery_id": null }))), "{fault:?}");
        sqlx::query("update raw_ops.outbox set updated_at = now() - interval '1 hour'").execute(db.pool()).await.expect("time can pass");
        sqlx::query("select raw_ops.sweep_messages()").execute(db.pool()).await.expect("a sweep");
        run_all(&db, outside.kinds()).await;
        assert_eq!((mail(db.pool(), id).await.state.as_str(), outside.customerio.message_count()), ("unknown", sent), "{fault:?}");
        outside.stop();
    }
}

#[tokio::test]
async fn a_person_decides_what_becomes_of_a_parked_mail() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    let mut decided = Vec::new();
    for (decision, state, sent) in [("sent", "sent", 0), ("pending", "sent", 1), ("cancelled", "cancelled", 1)] {
        outside.customerio.ask([Fault::Reset]);
        let id = put(db.pool(), "ann@example.com").await;
        run_all(&db, outside.kinds()).await;
        let before: String = sqlx::query_scalar("select raw_ops.resolve_message($1, $2, 'ada')")
            .bind(id)
            .bind(decision)
            .fetch_one(db.pool())
            .await
            .expect("a person may");
        assert_eq!(before, "unknown");
        run_all(&db, outside.kinds()).await;
        assert_eq!((mail(db.pool(), id).await.state.as_str(), outside.customerio.message_count()), (state, sent), "{decision}");
        decided.push(id);
    }
    let refused = sqlx::query("select raw_ops.resolve_message($1, 'pending', 'ada')").bind(decided[0]).execute(db.pool()).await;
    assert!(
        refused.is_err_and(|error| error.to_string().contains("is sent, which does not become pending")),
        "what is sent is not sent again"
    );
}

#[tokio::test]
async fn what_is_no_mail_fails_and_is_never_asked_of_the_vendor() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    let none = put_payload(db.pool(), json!({ "to": "ann@example.com" })).await;
    let elsewhere: Uuid =
        sqlx::query_scalar("insert into raw_ops.outbox (target, event_type, payload_json) values ('pigeon', 'x', '{}') returning id")
            .fetch_one(db.pool())
            .await
            .expect("anybody may");
    run_all(&db, outside.kinds()).await;
    for (id, why) in [(none, "neither"), (elsewhere, "nobody here delivers to the target \"pigeon\"")] {
        let row = mail(db.pool(), id).await;
        assert_eq!((row.state.as_str(), row.attempts), ("failed", 0));
        assert!(row.error_message.as_ref().is_some_and(|words| words.contains(why)), "{row:?}");
    }
    assert_eq!(outside.customerio.message_count(), 0);
    assert_eq!(ledger::count(db.pool(), "select count(*) from raw_ops.dead_letter_queue where category = 'validation'").await, 2);
}

#[tokio::test]
async fn what_the_vendor_refuses_fails_with_its_words() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    outside.customerio.ask([Fault::Status(422)]);
    let id = put(db.pool(), "ann@example.com").await;
    run_all(&db, outside.kinds()).await;
    let row = mail(db.pool(), id).await;
    assert_eq!((row.state.as_str(), row.attempts), ("failed", 1));
    assert_eq!(row.error_message.as_deref(), Some(r#"Customer.io: answered 422: {"meta":{"error":"refused"}}"#));
}

#[tokio::test]
async fn without_a_key_nothing_is_sent_and_the_row_says_which_key() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    retry_at_once(db.pool()).await;
    let mut settings = outside.settings();
    settings.customerio.app_key = None;
    let id = put(db.pool(), "ann@example.com").await;
    run_all(&db, outside::with(&settings)).await;
    let row = mail(db.pool(), id).await;
    assert_eq!(row.state, "failed");
    assert!(row.error_message.is_some_and(|words| words.contains("CUSTOMERIO_APP_KEY is not set")));
}

#[tokio::test]
async fn a_mail_that_is_called_off_in_time_is_not_sent() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    let id = put(db.pool(), "ann@example.com").await;
    sqlx::query("update raw_ops.outbox set state = 'cancelled'").execute(db.pool()).await.expect("a person may");
    run_all(&db, outside.kinds()).await;
    assert_eq!((mail(db.pool(), id).await.state.as_str(), outside.customerio.message_count()), ("cancelled", 0));
}

#[tokio::test]
async fn an_account_in_the_other_region_is_found_by_its_redirect() {
    let there = Outside::start().await;
    let account = Options { lives_at: Some(there.customerio.url().into()), ..outside::account() };
    let (db, here) = (Database::new().await, Outside::of(account, outside::workspace()).await);
    let mut settings = here.settings();
    settings.customerio.origins = vec![there.customerio.url().into()];
    let id = put(db.pool(), "ann@example.com").await;
    run_all(&db, outside::with(&settings)).await;
    assert_eq!((mail(db.pool(), id).await.state.as_str(), there.customerio.message_count()), ("sent", 1));
}

#[tokio::test]
async fn a_mail_about_a_billing_date_uses_up_its_once_key() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    let pool = db.pool();
    let customer: Uuid = sqlx::query_scalar("insert into raw_ops.customers (email) values ('ann@example.com') returning id")
        .fetch_one(pool)
        .await
        .expect("a customer");
    let subscription: Uuid = sqlx::query_scalar(
        "insert into raw_ops.subscriptions (customer_id, shopify_subscription_id, frequency_weeks, price_gbp) values ($1, 'seal:1', 4, 60) returning id",
    )
    .bind(customer)
    .fetch_one(pool)
    .await
    .expect("a subscription");
    for (subscription, date) in [(json!(subscription), "2026-03-01"), (json!(subscription), "2026-03-01"), (json!("none"), "never")] {
        put_payload(
            pool,
            json!({ "to": "ann@example.com", "transactional_message_id": 7, "subscription_id": subscription, "billing_date": date }),
        )
        .await;
    }
    run_all(&db, outside.kinds()).await;
    assert_eq!(
        ledger::count(pool, "select count(*) from raw_ops.outbox where state = 'sent'").await,
        3,
        "nonsense in the key loses no mail"
    );
    let kept: (Uuid, Uuid, String, String) =
        sqlx::query_as("select customer_id, subscription_id, event_type, billing_date::text from raw_ops.email_events")
            .fetch_one(pool)
            .await
            .expect("one key");
    assert_eq!(kept, (customer, subscription, "order_dispatched".into(), "2026-03-01".into()));
}
