//! The outside system fails altogether for a while: it refuses, hangs, resets, answers nonsense or not at all.

use std::time::Duration;

use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use sandbox::Fault;

use crate::stage::Stage;

const FAULTS: [Fault; 7] =
    [Fault::RateLimited(1), Fault::Status(500), Fault::Status(503), Fault::Hang, Fault::Reset, Fault::LateReply, Fault::Garbage];

pub async fn strike(stage: &Stage, random: &mut StdRng) -> String {
    let time = Duration::from_millis(random.random_range(300..4000));
    let fault = FAULTS.choose(random).copied().unwrap_or(Fault::Hang);
    stage.outside.always(Some(fault));
    tokio::time::sleep(time).await;
    stage.outside.always(None);
    format!("{fault:?} for {} ms", time.as_millis())
}
