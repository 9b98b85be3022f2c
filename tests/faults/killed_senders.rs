//! kill -9 of workers that send mails: no mail goes out twice, and of each it is known in the end what became of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sandbox::FaultRates;
use sandbox::customerio::{Options, Reporting};
use sqlx::PgPool;
use web::webhooks::customerio::PATH;

use crate::support::{
    Outside, ledger, outside,
    process::{WorkerOptions, WorkerProcess},
    wait,
};
use crate::webhooks::edge::{Edge, REPORTS_KEY};

const WORKERS: usize = 3;

/// Puts mails to so many people into the outbox with one statement; their triggers make the jobs.
async fn put_many(pool: &PgPool, mails: i64) {
    sqlx::query(
        "insert into raw_ops.outbox (target, event_type, payload_json)
         select 'customerio', 'order_dispatched', jsonb_build_object('to', 'ann' || n % 997 || '@example.com', 'transactional_message_id', 1)
         from generate_series(1, $1) n",
    )
    .bind(mails)
    .execute(pool)
    .await
    .expect("rows");
}

/// Kills a worker each time that another share of the mails is out.
async fn kill_while_sending(options: &WorkerOptions, outside: &Outside, mails: usize, kills: usize) -> Vec<WorkerProcess> {
    let mut workers = options.start_many(WORKERS);
    for kill in 1..=kills {
        let border = mails * kill / (kills + 1);
        let what = format!("{border} mails are out");
        wait::until(&what, Duration::from_mins(5), || async { outside.customerio.message_count() >= border }).await;
        workers.remove(0).kill();
        workers.push(options.start());
    }
    workers
}

/// Waits until no mail waits or is on its way, and every report has arrived.
async fn settled(pool: &PgPool, outside: &Outside) {
    let open = "select count(*) from raw_ops.outbox where state in ('pending', 'sending')";
    let every = Duration::from_millis(250);
    wait::until_every(every, "no mail is on its way", Duration::from_mins(10), || async { ledger::count(pool, open).await == 0 }).await;
    wait::until_every(every, "every report is in", Duration::from_mins(10), || async { outside.customerio.reports_under_way() == 0 }).await;
}

/// Drains so many mails through so many kills, at the rate that the vendor takes; at this share of them he asks to be left alone for a second.
/// Returns how many he refused for being too many at once.
async fn drain(mails: usize, kills: usize, per_second: f64, asks_for_rest: f64) -> u64 {
    let edge = Edge::start().await;
    let pool = edge.pool();
    let reporting = Reporting {
        url: edge.url(PATH),
        signing_key: REPORTS_KEY.into(),
        include_headers: true,
        twice: false,
        retry_after: Duration::from_millis(200),
    };
    let faults = FaultRates { rate_limited: asks_for_rest, ..FaultRates::default() };
    let account = Options { reporting: Some(reporting), mails_per_second: per_second, faults, ..outside::account() };
    let outside = Outside::of(account, outside::workspace()).await;
    put_many(pool, mails as i64).await;

    let begun = Instant::now();
    let options = WorkerOptions::new(edge.database_url()).concurrency(16).customerio(outside.customerio.url(), per_second);
    let workers = kill_while_sending(&options, &outside, mails, kills).await;
    settled(pool, &outside).await;
    let took = begun.elapsed();
    // What is unknown now was never taken by the vendor: its report would have come. A person has it sent.
    let unknown = ledger::count(pool, "select count(*) from raw_ops.outbox where state = 'unknown'").await;
    let first_round = outside.customerio.message_count();
    assert_eq!(first_round as i64 + unknown, mails as i64, "unknown are those alone that did not go out");
    sqlx::query("select raw_ops.resolve_message(id, 'pending', 'ada') from raw_ops.outbox where state = 'unknown'")
        .execute(pool)
        .await
        .expect("a person may");
    settled(pool, &outside).await;
    drop(workers);

    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for message in outside.customerio.messages() {
        *times.entry(message.header("X-Rawops-Message").expect("each is marked").to_owned()).or_default() += 1;
    }
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{} mails went out more than once, as {:?}", twice.len(), twice.first());
    assert_eq!(times.len(), mails, "each went out");
    assert_eq!(
        ledger::count(pool, "select count(*) from raw_ops.outbox where state = 'sent' and delivery_id is not null").await,
        mails as i64
    );
    assert_eq!(ledger::count(pool, "select count(*) from raw_ops.dead_letter_queue").await, 0);
    println!(
        "{mails} mails through {kills} kills in {took:?}, {:.0} a second of {per_second} allowed; {} refused for the rate; {unknown} were left to a person",
        mails as f64 / took.as_secs_f64(),
        outside.customerio.refused_for_rate(),
    );
    outside.customerio.refused_for_rate()
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_go_out_once_whatever_is_killed_and_refused() {
    drain(2_000, 10, 400.0, 0.002).await;
}

/// The full size, when it is asked for by `RAWOPS_FULL_SIZE`, some minutes; of another number of mails, if it says one above 1.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_mails_go_out_once_through_a_hundred_kills_at_the_pace_of_the_vendor() {
    let Ok(size) = std::env::var("RAWOPS_FULL_SIZE") else { return };
    let mails = size.parse().ok().filter(|mails| *mails > 1).unwrap_or(100_000);
    // Three times what the vendor takes of transactional mails, and less than one machine can send.
    let refused = drain(mails, mails.div_ceil(1_000), 300.0, 0.0).await;
    assert!(refused < mails as u64 / 20, "{refused} were refused, though no more was sent than is taken");
}
