//! The same export and the same files of the packer at a drop over SFTP.

use jobs::clients::Secret;
use jobs::dispatch::FetchFiles;
use jobs::export::CollectOrders;
use sandbox::packer::{Mishap, SftpDrop};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{all, batch, ready, stands, waiting};
use crate::dispatch::{file, parcels};
use crate::orders::inbox::{count, execute, row};
use crate::support::{
    Database, Outside, outside, run_all,
    shelf::{Batch, product, rows},
};

const PASSWORD: &str = "drop-password";

async fn open(db: &Database) -> (Outside, SftpDrop, CancellationToken) {
    execute(db.pool(), "update raw_ops.retry_config set backoff_seconds = '{0}'").await;
    let stop = CancellationToken::new();
    let drop = SftpDrop::start(PASSWORD, stop.clone()).await.expect("a drop");
    (Outside::start().await, drop, stop)
}

/// Runs a job and all that follows with these settings; what it said.
async fn run<J: engine::Job>(db: &Database, settings: &jobs::clients::Settings, job: J) -> Value {
    let id = engine::Client::new(db.pool().clone()).enqueue(&engine::NewJob::of(&job).expect("it serialises")).await.expect("enqueued").id;
    run_all(db, outside::with(settings)).await;
    row(db.pool(), &format!("select output from engine.job_state where id = {id}")).await["output"].take()
}

/// The names that lie at the drop.
fn names(drop: &SftpDrop) -> Vec<String> {
    drop.files().into_keys().collect()
}

/// Whatever becomes of a visit, the packer has each file once and whole.
#[tokio::test]
async fn a_file_is_at_the_drop_once_and_whole_whatever_becomes_of_a_visit() {
    let db = Database::new().await;
    let (outside, drop, _stop) = open(&db).await;
    let settings = outside.over_sftp(&drop);
    let beef = product(db.pool(), "BEEF").await;
    Batch::of(99, 30).put(db.pool(), "b1", beef).await;
    let cases: [&[Option<Mishap>]; 8] = [
        &[],
        &[Some(Mishap::Cut)],
        &[Some(Mishap::LostReply)],
        &[Some(Mishap::LateReply)],
        &[Some(Mishap::Reset), Some(Mishap::Hang)],
        &[Some(Mishap::Full), Some(Mishap::Cut), Some(Mishap::LostReply)],
        &[Some(Mishap::Denied)],
        // The receipt's.
        &[None, Some(Mishap::Reset)],
    ];
    let mut wanted = Vec::new();
    for (n, mishaps) in cases.into_iter().enumerate() {
        ready(db.pool(), beef, &format!("#{n}"), 2).await;
        wanted.push(format!("PR#{n}"));
        // So many failures would open its breaker; that is tests/outbox/outage.rs.
        execute(db.pool(), "update engine.breaker set at_least = 1000").await;
        drop.ask(mishaps.iter().copied());
        let said = run(&db, &settings, CollectOrders {}).await;
        let name = format!("{}_v1.csv", said["batches"][0].as_str().expect("one batch"));
        let sent = row(db.pool(), &format!("select status, file_sha256 from raw_ops.export_outbox where file_name = '{name}'")).await;
        let bytes = drop.files().remove(&format!("orders/read/{name}")).expect("he has read it");
        assert_eq!(sent, json!({ "status": "confirmed", "file_sha256": jobs::export::manifest::sha256(&bytes) }), "{mishaps:?}");
        assert_eq!(names(&drop).len(), n + 1, "no part is left, and no file twice: {mishaps:?} {:?}", names(&drop));
    }
    let mut packed = drop.orders();
    packed.sort();
    assert_eq!(packed, wanted);
}

#[tokio::test]
async fn a_file_that_was_put_before_a_crash_is_found_wherever_the_packer_has_moved_it() {
    for moved in [false, true] {
        let db = Database::new().await;
        let (outside, drop, _stop) = open(&db).await;
        let settings = outside.over_sftp(&drop);
        waiting(db.pool(), 2).await;
        drop.reads(moved);
        // The worker dies after the upload: the row says `sending`, and the next attempt puts the file again.
        execute(db.pool(), "update raw_ops.retry_config set max_attempts = 2").await;
        run(&db, &settings, CollectOrders {}).await;
        execute(db.pool(), "update raw_ops.export_outbox set status = 'failed', sent_at = null, confirmed_at = null").await;
        execute(db.pool(), "update raw_ops.orders set export_state = 'queued', exported_at = null, acked_at = null").await;
        drop.reads(true);
        let again = "select raw_ops.resolve_export(id, 'pending', 'ada') from raw_ops.export_outbox";
        execute(db.pool(), again).await;
        run_all(&db, outside::with(&settings)).await;
        assert_eq!((batch(&db).await.0.as_str(), stands(&db).await), ("confirmed", all(2, "EXPORTED", Some("acked"))));
        assert_eq!((drop.orders(), names(&drop).len()), (vec!["PR#1".to_owned(), "PR#2".to_owned()], 1));
    }
}

/// What the batch says after this one attempt, and the category of its dead letter.
async fn refusal(db: &Database, settings: &jobs::clients::Settings) -> (String, String) {
    execute(db.pool(), "update raw_ops.retry_config set max_attempts = 1").await;
    execute(db.pool(), "delete from engine.dead_letter_queue").await;
    let again = "select raw_ops.resolve_export(id, 'pending', 'ada') from raw_ops.export_outbox where status = 'failed'";
    execute(db.pool(), again).await;
    run_all(db, outside::with(settings)).await;
    let said = row(db.pool(), "select error_message from raw_ops.export_outbox").await;
    let letter = row(db.pool(), "select category from engine.dead_letter_queue").await;
    (said["error_message"].as_str().expect("words").to_owned(), letter["category"].as_str().expect("a category").to_owned())
}

#[tokio::test]
async fn who_is_not_let_in_is_told_which_setting_is_wrong_and_sends_nothing() {
    let db = Database::new().await;
    let (outside, drop, stop) = open(&db).await;
    let other = SftpDrop::start("other", stop.clone()).await.expect("a drop");
    let right = outside.over_sftp(&drop);
    waiting(db.pool(), 1).await;
    let with = |change: &dyn Fn(&mut jobs::clients::packer::Settings)| {
        let mut settings = right.clone();
        change(&mut settings.packer);
        settings
    };
    let stranger = with(&|packer| packer.host_key = Some(other.host_key()));
    execute(db.pool(), "update raw_ops.retry_config set max_attempts = 1").await;
    run(&db, &stranger, CollectOrders {}).await;
    execute(db.pool(), "update engine.breaker set at_least = 1000").await;
    let cases = [
        (stranger, "validation", "which is not that of PACKER_DROP_HOST_KEY"),
        (with(&|packer| packer.key = Some(Secret::new(other.key()))), "auth", "does not let user raw in with PACKER_DROP_KEY"),
        (with(&|packer| (packer.key, packer.token) = (None, Some(Secret::new("hidden")))), "auth", "PACKER_DROP_TOKEN"),
        (with(&|packer| packer.url = packer.url.as_ref().map(|url| format!("{url}/elsewhere"))), "validation", "there is no folder"),
        (with(&|packer| packer.url = Some("sftp://raw@127.0.0.1:1/raw".into())), "network", "cannot be reached"),
    ];
    for (settings, category, words) in cases {
        let (said, found) = refusal(&db, &settings).await;
        assert!(said.contains(words) && found == category && !said.contains("hidden"), "{category}: {found}: {said}");
    }
    drop.ask([Some(Mishap::Denied), Some(Mishap::Full), Some(Mishap::Hang)]);
    for (category, words) in [("auth", "permission denied"), ("upstream", "was written"), ("timeout", "no answer")] {
        let (said, found) = refusal(&db, &right).await;
        assert!(said.contains(words) && found == category, "{category}: {found}: {said}");
    }
    assert_eq!((drop.orders(), other.files().len()), (Vec::<String>::new(), 0));
    // A password does as well, and then the file is there.
    let by_password = with(&|packer| (packer.key, packer.token) = (None, Some(Secret::new(PASSWORD))));
    execute(db.pool(), "select raw_ops.resolve_export(id, 'pending', 'ada') from raw_ops.export_outbox").await;
    execute(db.pool(), "update raw_ops.retry_config set max_attempts = 3").await;
    run_all(&db, outside::with(&by_password)).await;
    assert_eq!((batch(&db).await.0.as_str(), drop.orders()), ("confirmed", vec!["PR#1".to_owned()]));
}

#[tokio::test]
async fn what_the_packer_refuses_takes_away_or_has_under_another_name_is_for_a_person() {
    for (does, words) in [("refuses", "no such sku"), ("takes", "ask the packer what he did with it"), ("has another", "another EXP-")] {
        let db = Database::new().await;
        let (outside, drop, _stop) = open(&db).await;
        let settings = outside.over_sftp(&drop);
        waiting(db.pool(), 1).await;
        drop.reads(does == "refuses");
        drop.refuse(Some("no such sku"));
        if does != "refuses" {
            execute(db.pool(), "update raw_ops.retry_config set max_attempts = 1").await;
        }
        run(&db, &settings, CollectOrders {}).await;
        if does != "refuses" {
            assert_eq!(batch(&db).await.0, "failed", "he has not read it");
            let path = names(&drop).remove(0);
            assert!(drop.take_away(&path));
            if does == "has another" {
                drop.lay(&path, "another");
            }
            execute(db.pool(), "select raw_ops.resolve_export(id, 'pending', 'ada') from raw_ops.export_outbox").await;
            if does == "takes" {
                execute(db.pool(), "update raw_ops.export_outbox set sent_at = now()").await;
            }
            run_all(&db, outside::with(&settings)).await;
        }
        let said = row(db.pool(), "select status, error_message from raw_ops.export_outbox").await;
        assert!(said["status"] == "failed" && said["error_message"].as_str().is_some_and(|said| said.contains(words)), "{does}: {said}");
        assert_eq!(count(db.pool(), "engine.dead_letter_queue where category = 'business_rule'").await, 1, "{does}");
    }
}

#[tokio::test]
async fn files_of_the_packer_are_fetched_once_from_a_drop_over_sftp() {
    let db = Database::new().await;
    let (outside, drop, _stop) = open(&db).await;
    let settings = outside.over_sftp(&drop);
    waiting(db.pool(), 2).await;
    assert_eq!(run(&db, &settings, CollectOrders {}).await["orders"], 2);
    let at = "2026-01-14 16:05:00";
    drop.lay_out("a.csv", &file(&[["PR#1", "101", at]]));
    drop.lay_out("b.csv.part", &file(&[["PR#2", "102", at]]));
    drop.lay_out("too long.csv", &"x".repeat(2 << 20));
    drop.ask([Some(Mishap::Reset), Some(Mishap::Hang)]);
    execute(db.pool(), "update raw_ops.retry_config set max_attempts = 3").await;
    run(&db, &settings, FetchFiles {}).await;
    let fetched = "select file_name, source, record_count from raw_ops.processed_3pl_files order by 1";
    assert_eq!(rows(db.pool(), fetched).await, json!([["a.csv", "drop", 1]]));
    assert_eq!(count(db.pool(), "engine.dead_letter_queue where error_message like '%too long.csv has more than%'").await, 1);
    assert!(drop.take_away("dispatches/too long.csv"));
    drop.lay_out("b.csv", &file(&[["PR#2", "102", at]]));
    assert_eq!(run(&db, &settings, FetchFiles {}).await, json!({ "listed": 2, "fetched": 1 }));
    assert_eq!(parcels(&db).await, json!([["101", "DISPATCHED", "#1", "DISPATCHED"], ["102", "DISPATCHED", "#2", "DISPATCHED"]]));
    assert_eq!(run(&db, &settings, FetchFiles {}).await, json!({ "listed": 2, "fetched": 0 }));
}

#[tokio::test]
async fn a_name_that_is_none_and_a_file_that_nobody_can_read_keep_no_other_from_being_fetched() {
    let db = Database::new().await;
    let (outside, drop, _stop) = open(&db).await;
    let settings = outside.over_sftp(&drop);
    let said = |n: u32| file(&[[&format!("PR#{n}"), &format!("10{n}"), "2026-01-14 16:05:00"]]);
    drop.lay_out("a.csv", &said(1));
    // A bad one at each end of the list, and one in the middle that the newest cannot stand before.
    for name in ["b\u{1b}[2J.csv", &"c".repeat(201), "n.csv", "z.csv"] {
        drop.lay_out(name, &said(2));
    }
    drop.stick(Some("dispatches/n.csv"));
    execute(db.pool(), "update raw_ops.retry_config set max_attempts = 1").await;
    run(&db, &settings, FetchFiles {}).await;
    let fetched = "select file_name from raw_ops.processed_3pl_files order by 1";
    let told = "engine.dead_letter_queue where category = 'timeout'";
    assert_eq!(rows(db.pool(), fetched).await, json!([["a.csv"], ["z.csv"]]));
    assert_eq!(count(db.pool(), told).await, 1, "a person hears of the one that cannot be read");
    drop.lay_out("n.csv", &said(3));
    drop.stick(None);
    assert_eq!(run(&db, &settings, FetchFiles {}).await, json!({ "listed": 3, "fetched": 1 }));
    assert_eq!(rows(db.pool(), fetched).await, json!([["a.csv"], ["n.csv"], ["z.csv"]]));
}
