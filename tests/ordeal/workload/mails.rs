//! Mails to an outside system that fails in its own ways: it refuses, hangs, resets, answers nonsense, and takes what it
//! never answers. It does not know that a mail came twice.

use std::{sync::Arc, time::Duration};

use jobs::clients::{Outside, Secret, Settings, customerio};
use rand::RngExt;
use sandbox::{
    FaultRates,
    customerio::{CustomerIo, Options},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    canaries,
    chance::{Purpose, stream},
    clock,
    ledger::Mail,
    stage::Stage,
    wait::until_accepted,
};

const KEY: &str = canaries::MAIL_KEY;
const PATIENCE: Duration = Duration::from_secs(5);
/// Of each fault, how often it comes by chance.
const FAULTS: FaultRates = FaultRates { rate_limited: 0.03, failing: 0.03, reset: 0.03, lost_reply: 0.03, garbage: 0.03 };

/// The system, until `stop`.
///
/// # Errors
/// The operating system's.
pub async fn start(seed: u64, stop: CancellationToken) -> std::io::Result<CustomerIo> {
    let account = Options { seed, mails_per_second: 1000.0, faults: FAULTS, ..Options::new(KEY, KEY, KEY) };
    CustomerIo::start(account, stop).await
}

/// What a worker hands to its jobs when the system is at this address.
///
/// # Errors
/// When the address is none.
pub fn clients(url: &str) -> anyhow::Result<Outside> {
    let customerio = customerio::Settings {
        app_url: Some(format!("{url}/v1")),
        track_url: Some(url.into()),
        app_key: Some(Secret::new(KEY)),
        site_id: Some(Secret::new(KEY)),
        track_key: Some(Secret::new(KEY)),
        mails_per_second: Some(1000.0),
        timeout: Some(Duration::from_secs(1)),
        ..customerio::Settings::default()
    };
    Ok(Outside::new(&Settings { customerio, ..Settings::default() })?)
}

/// Puts mails into the outbox until it is told to stop, and asks again until each is there.
///
/// # Errors
/// When the ledger cannot be written.
pub async fn run(stage: Arc<Stage>, stop: CancellationToken) -> anyhow::Result<()> {
    let mut random = stream(stage.seed, Purpose::Mails, 0);
    loop {
        let pause = Duration::from_millis(random.random_range(50..500));
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return Ok(());
        }
        let (id, person) = (Uuid::from_u128(random.random()), random.random_range(0..50));
        until_accepted(PATIENCE, || put(&stage, id, person)).await;
        stage.ledger.mails.add_synced(&Mail { at_us: clock::now_us(), id })?;
    }
}

async fn put(stage: &Stage, id: Uuid, person: u32) -> Result<(), sqlx::Error> {
    let put = sqlx::query(
        "insert into raw_ops.outbox (id, target, event_type, payload_json)
         values ($1, 'customerio', 'order_dispatched', jsonb_build_object('to', $2::text, 'transactional_message_id', 1))
         on conflict (id) do nothing",
    )
    .bind(id)
    // Not in the statement: the server writes down those that fail.
    .bind(format!("ann{person}@example.com"))
    .execute(&stage.pool)
    .await?;
    // It is there of a commit that was never answered, which a standby that takes over may not have.
    if put.rows_affected() == 0 {
        engine::store::standby::await_all(&stage.pool).await?;
    }
    Ok(())
}
