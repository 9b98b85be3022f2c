//! `rawops doctor --payloads`: what is stored and may yet run, against what this program decodes.

use engine::{Client, NewJob, store::compensation};
use serde_json::{json, value::RawValue};

use super::program::rawops;
use crate::{orders::inbox::execute, support::Database};

#[tokio::test]
async fn before_a_deploy_it_names_what_the_new_program_could_not_run() {
    let db = Database::new().await;
    let stored = async |kind: &str, args: &str| {
        let args = RawValue::from_string(args.into()).expect("the arguments are JSON");
        Client::new(db.pool().clone()).enqueue(&NewJob::raw(kind, args)).await.expect("the queue takes the job").id
    };
    stored("health.prune_enqueue_keys", "{}").await;
    let said = rawops(&db.url(), &["doctor", "--payloads"]).await.ok().out;
    assert_eq!(said, "1 payload looked at, 0 that this program cannot run\n");

    let (changed, gone) = (stored("orders.process_order", r#"{ "order": 1 }"#).await, stored("orders.forgotten", "{}").await);
    let answer = rawops(&db.url(), &["doctor", "--payloads", "--json"]).await;
    let report = answer.json();
    assert_eq!((answer.code, &report["looked_at"]), (1, &json!(3)));
    let found: Vec<_> = report["unreadable"].as_array().expect("a list").iter().map(|one| (&one["job_id"], &one["reason"])).collect();
    assert_eq!(found[0].0, &changed.to_string());
    assert!(found[0].1.as_str().is_some_and(|why| why.contains("missing field `inbox_id`")), "{report}");
    assert_eq!((found[1].0, found[1].1), (&gone.to_string().into(), &"this program knows no kind orders.forgotten".into()));

    // What undoes a workflow is every worker's, and a letter outlives the job that died.
    stored("engine.unwind", r#"{ "workflow": "1" }"#).await;
    sqlx::query(
        "insert into engine.dead_letter_queue (source, topic, payload, job_id)
         values ('engine', 'orders.process_order', '{\"order\": 2}', 9000000), ('shop', 'orders/paid', '{}', null)",
    )
    .execute(db.pool())
    .await
    .expect("an old letter");
    let report = rawops(&db.url(), &["doctor", "--payloads", "--json"]).await.json();
    let found: Vec<_> = report["unreadable"].as_array().expect("a list").iter().map(|one| one["job_id"].as_str()).collect();
    assert_eq!(found, [Some(changed.to_string().as_str()), Some(gone.to_string().as_str()), Some("9000000")], "{report}");
    assert_eq!(report["looked_at"], 5);
}

#[tokio::test]
async fn what_would_undo_a_workflow_and_what_a_batch_calls_back_are_decoded_too() {
    let db = Database::new().await;
    let mut connection = db.pool().acquire().await.expect("a connection");
    let raw = |kind: &str, args: &str| NewJob::raw(kind, RawValue::from_string(args.into()).expect("JSON"));
    let client = Client::new(db.pool().clone());
    let mut workflows = Vec::new();
    for _ in 0..4 {
        workflows.push(client.enqueue(&raw("health.prune_enqueue_keys", "{}").queue("default")).await.expect("enqueued").id);
    }
    let [lives, completed, undoing, undone] = workflows[..] else { unreachable!("there are four") };
    for (workflow, step, args) in
        [(lives, 1, "{}"), (lives, 2, r#"{ "order": 1 }"#), (completed, 1, "1"), (undoing, 3, "2"), (undone, 1, "3")]
    {
        compensation::add(&mut connection, workflow, step, 1, &raw("orders.process_order", args)).await.expect("noted");
    }
    execute(
        db.pool(),
        &format!(
            "insert into engine.attempt (job_id, attempt, outcome, started_at, finished_at)
             select id, 1, outcome, engine.now(), engine.now()
             from (values ({completed}, 'completed'), ({undoing}, 'dead'), ({undone}, 'dead')) u (id, outcome)"
        ),
    )
    .await;
    execute(db.pool(), "update engine.compensation set undone_at = engine.now() where args = '3'").await;
    client.enqueue(&raw("engine.unwind", &format!(r#"{{ "workflow": "{undoing}" }}"#)).unique_key(undoing.to_string())).await.expect("ok");
    let batch = client.enqueue_batch(&[], &raw("orders.process_order", r#"{ "none": 1 }"#)).await.expect("enqueued").id;

    let report = rawops(&db.url(), &["doctor", "--payloads", "--json"]).await.json();
    let found: Vec<_> =
        report["unreadable"].as_array().expect("a list").iter().map(|one| (one["job_id"].clone(), one["undoes"].clone())).collect();
    let expected = [(batch, json!(null)), (lives, json!(1)), (lives, json!(2)), (undoing, json!(3))];
    assert_eq!(found, expected.map(|(job, step)| (json!(job), step)), "{report}");
    let why = report["unreadable"][0]["reason"].as_str().expect("a reason");
    assert!(why.starts_with("what it calls back, orders.process_order: the arguments do not decode"), "{why}");
    let said = rawops(&db.url(), &["doctor", "--payloads"]).await;
    assert!(said.out.contains("to undo step 3: the arguments do not decode as orders.process_order"), "{}", said.out);
}
