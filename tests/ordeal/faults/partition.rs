//! What a worker and the server send each other vanishes, one way or both, for less than the worker's lease or for longer, and
//! comes again. The worker still reaches the outside, and goes on with what it must not finish.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use rand::{RngExt, rngs::StdRng};

use super::{NOTHING, take};
use crate::{
    chance::weighted,
    namespace::{Cut, Namespace},
    process::{Role, child::LEASE},
    stage::Stage,
    wait::until_so,
};

/// How long a worker that was cut off may take to be heard of again. Its kernel sends again at ever longer intervals, so it
/// takes about as long as it was cut off.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn strike(stage: &Stage, random: &mut StdRng) -> anyhow::Result<String> {
    let cut = weighted(random, &[(Cut::Both, 3), (Cut::Requests, 1), (Cut::Answers, 1)]);
    let leases = if random.random_ratio(1, 3) { 0.2..0.9 } else { 1.1..4.0 };
    let time = LEASE.mul_f64(random.random_range(leases));
    let all = random.random_ratio(1, 3);
    let mut struck = Vec::new();
    while let Some(slot) = take(stage, random, |role| stage.fleet.namespace(role).is_some()) {
        struck.push(slot);
        if !all {
            break;
        }
    }
    if struck.is_empty() {
        return Ok(NOTHING.into());
    }
    let mut heard = Vec::new();
    let came = cut_off(stage, &struck, cut, time).await;
    let healed = Utc::now();
    for slot in &struck {
        heard.push(until_heard(stage, *slot, healed).await);
        stage.fleet.release(*slot);
    }
    came?;
    Ok(format!("no {} of {struck:?} for {} ms; {}", cut.word(), time.as_millis(), heard.join(", ")))
}

/// Cuts workers off, and mends their wires in any case.
async fn cut_off(stage: &Stage, slots: &[usize], cut: Cut, time: Duration) -> std::io::Result<()> {
    let wires = || slots.iter().filter_map(|slot| Some((*slot, stage.fleet.namespace(Role::Worker(*slot))?)));
    let all = |word: &str, what: fn(&Namespace, Cut) -> std::io::Result<()>| {
        wires().try_for_each(|(slot, namespace)| {
            stage.fleet.mark(slot, word);
            what(namespace, cut)
        })
    };
    let came = all("CUT", Namespace::cut);
    if came.is_ok() {
        tokio::time::sleep(time).await;
    }
    came.and(all("MENDED", |namespace, _| namespace.mend()))
}

/// Waits until a worker has renewed its lease, in this life or the next one, and leaves word of it: until then it is none that
/// tries what it may not.
async fn until_heard(stage: &Stage, slot: usize, healed: DateTime<Utc>) -> String {
    const RENEWED: &str = "select exists (select from engine.worker
        where (info ->> 'pid')::bigint = $1 and dead_at is null and lease_until >= $2)";
    let begun = Instant::now();
    let until = healed + TimeDelta::milliseconds(LEASE.as_millis() as i64);
    let is_back = || async {
        let asked = sqlx::query_scalar(RENEWED).bind(stage.fleet.pid(slot).map(i64::from)).bind(until);
        // The server may be away meanwhile.
        Ok::<_, Infallible>(stage.fleet.has_ended(slot) || asked.fetch_one(&stage.pool).await.unwrap_or(false))
    };
    let is_known = until_so(PATIENCE, is_back).await.unwrap_or_default();
    if stage.fleet.has_ended(slot) {
        return "ended by itself".into();
    }
    if is_known {
        stage.fleet.mark(slot, "BACK");
        return format!("back after {} ms", begun.elapsed().as_millis());
    }
    stage.fleet.mark(slot, "SILENT");
    "not heard of again".into()
}
