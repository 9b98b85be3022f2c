//! Each process does its work with the rights of its role and no more: the real binary, end to end.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use tokio::process::Child;

use crate::cli::program::{command, free_port, rawops, signal};
use crate::support::{Database, Login, ledger, wait::until};

const LIMIT: Duration = Duration::from_secs(30);
const SECRET: &str = "hush";
const ORDER: &str = include_str!("../fixtures/shopify/order_paid.json");

/// A process of the binary, as this user.
fn start(words: &[&str], url: &str, settings: &[(&str, &str)]) -> Child {
    let mut process = command(words);
    process.env("DATABASE_URL", url).env("RAWOPS_LOG", "error").envs(settings.iter().copied());
    process.spawn().expect("the program can be run")
}

/// Ends a process that must have had nothing to complain of.
async fn end(child: Child) {
    signal(&child, "TERM");
    let ended = child.wait_with_output().await.expect("the process ends");
    let said = String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && said.is_empty(), "{:?}: {said}", ended.status);
}

async fn deliver(port: u16, topic: &str, body: &'static str) -> u16 {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key length");
    mac.update(body.as_bytes());
    let sent = reqwest::Client::new()
        .post(format!("http://127.0.0.1:{port}{}", web::webhooks::shopify::PATH))
        .header("content-type", "application/json")
        .header("x-shopify-topic", topic)
        .header("x-shopify-shop-domain", "raw.myshopify.com")
        .header("x-shopify-hmac-sha256", STANDARD.encode(mac.finalize().into_bytes()))
        .body(body)
        .send();
    sent.await.expect("the process answers").status().as_u16()
}

async fn text(port: u16, path: &str) -> String {
    match reqwest::get(format!("http://127.0.0.1:{port}{path}")).await {
        Ok(answer) => answer.text().await.unwrap_or_default(),
        Err(_) => String::new(),
    }
}

#[tokio::test]
async fn an_order_goes_from_the_webhook_to_its_rows_by_processes_of_few_rights() {
    let db = Database::new().await;
    let (ingest, runtime) = (Login::of("rawops_ingest").await, Login::of("rawops_runtime").await);
    let port = free_port();
    let bind = format!("127.0.0.1:{port}");
    let shop = [("BIND", bind.as_str()), ("SHOPIFY_WEBHOOK_SECRET", SECRET), ("SHOPIFY_SHOP_DOMAIN", "raw.myshopify.com")];
    let web = start(&["web"], &ingest.url(&db), &shop);
    until("the web is ready", LIMIT, async || text(port, "/readyz").await == "ready\n").await;
    assert_eq!(deliver(port, "orders/paid", ORDER).await, 200);
    assert_eq!(deliver(port, "orders/paid", ORDER).await, 200, "again, which is stored once");
    assert_eq!(deliver(port, "carts/update", "{}").await, 200, "nobody reads it");
    let figures = text(port, "/metrics").await;
    for line in [
        "rawops_queue_ready{queue=\"orders\"} 1\n",
        "rawops_database_up 1\n",
        "result=\"enqueued\"} 1\n",
        "\"duplicate\"} 1\n",
        "\"unknown_topic\"} 1\n",
    ] {
        assert!(figures.contains(line), "{line} is not in\n{figures}");
    }

    let worker = start(&["worker"], &runtime.url(&db), &[]);
    let scheduler = start(&["scheduler"], &runtime.url(&db), &[]);
    let completed = || async { ledger::outcome(db.pool(), "completed").await >= 2 };
    until("the order is written down and its stock is asked for", LIMIT, completed).await;
    assert_eq!(ledger::count(db.pool(), "select count(*) from raw_ops.orders where status = 'PAID'").await, 1);
    assert_eq!(ledger::count(db.pool(), "select count(*) from raw_ops.ops_events where kind = 'WEBHOOK_UNKNOWN_TOPIC'").await, 1);
    until("the scheduler leads", LIMIT, async || ledger::count(db.pool(), "select count(*) from raw_ops.cron_jobs_metadata").await > 0)
        .await;
    for process in [web, worker, scheduler] {
        end(process).await;
    }
    assert_eq!(ledger::count(db.pool(), "select count(*) from engine.worker").await, 0, "the worker signed off");
    ledger::check(db.pool()).await;
}

#[tokio::test]
async fn a_worker_of_the_runtime_makes_the_partitions_ahead() {
    let db = Database::new().await;
    sqlx::query("drop table engine.job_60000000, engine.attempt_60000000").execute(db.pool()).await.expect("dropped");
    sqlx::query("select setval('engine.position', 15000000)").execute(db.pool()).await.expect("set");
    let runtime = Login::of("rawops_runtime").await;
    let worker = start(&["worker"], &runtime.url(&db), &[]);
    let made = "select count(*) from pg_class where relname = 'job_70000000' and relowner = 'rawops_owner'::regrole";
    until("partitions are made", LIMIT, async || ledger::count(db.pool(), made).await == 1).await;
    end(worker).await;
    let mut connection = runtime.connect(&db).await;
    let refused = sqlx::query("select engine.extend_partitions(1, 1000000000)").execute(&mut connection).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("the width is a million or more")), "it cannot make too many");
}

#[tokio::test]
async fn an_operator_runs_a_schedule_now_and_may_enqueue_nothing_else() {
    let db = Database::new().await;
    let operator = Login::of("rawops_operator").await;
    let answer = rawops(&operator.url(&db), &["schedules", "run", "prune_enqueue_keys", "--json", "--reason", "to see it work"]).await;
    answer.ok();
    let (kind, by, how): (String, Option<String>, String) = sqlx::query_as(
        "select s.kind, o.by, o.how from engine.occurrence o join engine.job_state s on s.id = o.job_id where s.state = 'ready'",
    )
    .fetch_one(db.pool())
    .await
    .expect("one job and its occurrence");
    assert_eq!((kind.as_str(), how.as_str(), by.is_some()), ("health.prune_enqueue_keys", "manual", true));
    let mut connection = operator.connect(&db).await;
    for (statement, code) in [
        ("select * from engine.enqueue('test.no_op', '{}')", "42501"),
        (
            "select * from engine.run_schedule('nobodys', now(), 'ann', null, 'test.no_op', '{}', 'default', 5::smallint, null, null)",
            "RW014",
        ),
    ] {
        let refused = sqlx::query(statement).execute(&mut connection).await.expect_err(statement);
        assert_eq!(refused.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref(), Some(code), "{refused}");
    }
}

/// What the API says to a request with this token.
async fn ask(port: u16, token: &str, method: reqwest::Method, path: &str, body: &serde_json::Value) -> (u16, String) {
    let request = reqwest::Client::new().request(method, format!("http://127.0.0.1:{port}{path}")).bearer_auth(token).json(body);
    let answer = request.send().await.expect("answered");
    (answer.status().as_u16(), answer.text().await.unwrap_or_default())
}

#[tokio::test]
async fn the_api_is_served_with_two_roles_and_says_what_it_lacks_with_fewer() {
    use reqwest::Method;
    let db = Database::new().await;
    let token = web::api::tokens::create(db.pool(), "test", &web::api::Scope::ALL, "ann", None).await.expect("made");
    let job = json!({ "category": "validation", "times": 9 });
    sqlx::query("select engine.enqueue('test.fail', $1)").bind(&job).execute(db.pool()).await.expect("enqueued");
    crate::support::run_all(&db, crate::support::kinds::kinds()).await;
    let dead: String =
        sqlx::query_scalar("select job_id::text from engine.dead_letter_queue").fetch_one(db.pool()).await.expect("one letter");
    let asked = [
        (Method::POST, "/v1/jobs".to_string(), json!({ "kind": "health.prune_enqueue_keys", "args": {} })),
        (Method::GET, format!("/v1/jobs/{dead}/why"), json!({})),
        (Method::GET, "/v1/dead-letters".to_string(), json!({})),
        (Method::POST, format!("/v1/dead-letters/{dead}/requeue"), json!({})),
    ];
    let both = Login::of("rawops_runtime").await;
    sqlx::query(sqlx::AssertSqlSafe(format!("grant rawops_operator to {}", both.name()))).execute(db.pool()).await.expect("granted");
    let ingest = Login::of("rawops_ingest").await;
    for (user, statuses) in [(&ingest, [503; 4]), (&both, [201, 200, 200, 201])] {
        let port = free_port();
        let bind = format!("127.0.0.1:{port}");
        let mut process = start(
            &["web"],
            &user.url(&db),
            &[("BIND", &bind), ("SHOPIFY_WEBHOOK_SECRET", SECRET), ("SHOPIFY_SHOP_DOMAIN", "raw.myshopify.com")],
        );
        until("web is ready", LIMIT, || async { text(port, "/healthz").await.contains("ok") }).await;
        for ((method, path, body), status) in asked.iter().zip(statuses) {
            let (got, said) = ask(port, &token, method.clone(), path, body).await;
            assert_eq!(got, status, "{path}: {said}");
            assert!(status < 500 || said.contains("its log says what it lacks"), "{said}");
        }
        process.kill().await.expect("ended");
    }
}

#[tokio::test]
async fn an_operator_acts_on_jobs_and_a_reader_only_looks() {
    let db = Database::new().await;
    let (operator, reader) = (Login::of("rawops_operator").await, Login::of("rawops_reader").await);
    let job = json!({ "category": "validation", "times": 9 });
    sqlx::query("select engine.enqueue('test.fail', $1)").bind(&job).execute(db.pool()).await.expect("enqueued");
    crate::support::run_all(&db, crate::support::kinds::kinds()).await;
    sqlx::query("select engine.enqueue('test.no_op', '{\"n\": 1}')").execute(db.pool()).await.expect("enqueued");

    for user in [&operator, &reader] {
        let url = user.url(&db);
        let jobs = rawops(&url, &["jobs", "list", "--json"]).await.ok().json();
        assert_eq!(jobs.as_array().map(Vec::len), Some(2), "{jobs}");
        for job in jobs.as_array().into_iter().flatten() {
            rawops(&url, &["jobs", "show", job["id"].as_str().expect("an id")]).await.ok();
        }
        assert_eq!(rawops(&url, &["doctor", "--json"]).await.ok().json()["faults"], 0);
    }
    let letter = rawops(&reader.url(&db), &["dead", "list", "--json"]).await.ok().json()[0]["id"].as_str().expect("an id").to_string();
    let waiting = rawops(&reader.url(&db), &["jobs", "list", "--state", "ready", "--json"]).await.ok().json()[0]["id"]
        .as_str()
        .expect("an id")
        .to_string();
    let acts: [&[&str]; 3] =
        [&["dead", "requeue", &letter], &["jobs", "cancel", &waiting], &["dead", "discard", &letter, "--reason", "no"]];
    for words in acts {
        let refusal = rawops(&reader.url(&db), words).await.refusal(1);
        assert!(refusal.contains("permission denied for function") && refusal.contains("grant rawops_operator to"), "{refusal}");
    }

    let url = operator.url(&db);
    let again = rawops(&url, &["dead", "requeue", &letter, "--json"]).await.ok().json();
    let again = again["job_id"].as_str().expect("an id").to_string();
    assert_eq!(rawops(&url, &["jobs", "cancel", &waiting]).await.ok().out, format!("job {waiting} is cancelled\n"));
    assert_eq!(rawops(&url, &["jobs", "cancel", &waiting]).await.ok().out, format!("job {waiting} had ended before: cancelled\n"));
    crate::support::run_all(&db, crate::support::kinds::kinds()).await;
    let second = rawops(&url, &["dead", "list", "--json"]).await.ok().json()[0].clone();
    assert_eq!(second["job_id"], again.as_str());
    rawops(&url, &["dead", "discard", second["id"].as_str().expect("an id"), "--reason", "a test"]).await.ok();
    let mut connection = operator.connect(&db).await;
    for setting in [
        "update engine.retry_config set max_attempts = 3 where error_category = 'network'",
        "insert into engine.queue (name, paused) values ('orders', true)",
        "update engine.lane set paused = true where kind = 'test.no_op'",
    ] {
        let changed = sqlx::query(setting).execute(&mut connection).await.unwrap_or_else(|error| panic!("{setting}: {error}"));
        assert_eq!(changed.rows_affected(), 1, "{setting}");
    }
    ledger::check(db.pool()).await;
}

#[tokio::test]
async fn what_dashboards_and_monitors_ask_is_answered_to_their_roles() {
    let db = Database::new().await;
    let asked = [
        "select count(*) from raw_ops.get_low_stock_alerts()",
        "select count(*) from raw_ops.get_current_inventory_for_reconciliation()",
        "select count(*) from (select raw_ops.get_daily_snapshot()) day",
    ];
    let worked = [
        "select count(*) from raw_ops.retry_failed_webhooks(10)",
        "select count(*) from (select raw_ops.fn_check_order_ingestion_slo_v2(), raw_ops.fn_check_outbox_health_v2(),
            raw_ops.fn_check_stock_levels_v2(), raw_ops.fn_check_lab_sla_v2(), raw_ops.fn_check_working_capital_v2(),
            raw_ops.fn_check_support_queue_v2(), raw_ops.fn_daily_snapshot_v2()) checks",
    ];
    for (role, statements) in
        [("rawops_reader", &asked[..]), ("rawops_operator", &asked), ("rawops_runtime", &asked), ("rawops_runtime", &worked)]
    {
        let user = Login::of(role).await;
        let mut connection = user.connect(&db).await;
        for statement in statements {
            let answer = sqlx::query_scalar::<_, i64>(*statement).fetch_one(&mut connection).await;
            assert!(answer.is_ok(), "{role}: {statement}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn an_inbox_row_that_the_ingest_inserts_by_itself_becomes_a_job() {
    let db = Database::new().await;
    let ingest = Login::of("rawops_ingest").await;
    let mut connection = ingest.connect(&db).await;
    let row = "insert into raw_ops.webhook_inbox (topic, raw_headers, raw_payload) values ('orders/paid', '{}', '{}')";
    sqlx::query(row).execute(&mut connection).await.expect("the inbox takes it");
    assert_eq!(
        ledger::count(db.pool(), "select count(*) from engine.job_state where kind = 'orders.process_order' and queue = 'orders'").await,
        1
    );
    for refused in [
        "insert into raw_ops.ops_events (entity_type, entity_id, kind, message) values ('X', gen_random_uuid(), 'X', 'X')",
        "select id from raw_ops.webhook_inbox",
        "select engine.enqueue('test.no_op', '{}')",
    ] {
        let error = sqlx::query(refused).execute(&mut connection).await.expect_err(refused);
        assert!(error.to_string().contains("permission denied"), "{refused}: {error}");
    }
}

#[tokio::test]
async fn a_user_without_a_role_is_told_what_he_lacks() {
    let db = Database::new().await;
    let nobody = Login::of("").await;
    for words in [["worker"], ["scheduler"]] {
        let answer = rawops(&nobody.url(&db), &words).await;
        assert!(answer.code == 1 && answer.err.contains("this user may not use the database: "), "{answer:?}");
        assert!(answer.err.contains("grant rawops_runtime to"), "{answer:?}");
    }
    let refusal = rawops(&nobody.url(&db), &["jobs", "list"]).await.refusal(1);
    assert!(refusal.contains("permission denied") && refusal.contains("rawops_reader"), "{refusal}");
}
