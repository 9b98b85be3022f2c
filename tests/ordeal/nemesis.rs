//! The nemesis: strikes as the seed says. Two hands strike processes, one the server, and one the wires of workers that
//! have their own, each by its own plan, so that faults begin and heal in any order. The server is left alone for a while at first.

use std::{sync::Arc, time::Duration};

use rand::RngExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    chance::{Purpose, stream, weighted},
    clock,
    faults::{Class, Hand},
    ledger::Fault,
    process::place::Target,
    stage::Stage,
};

/// The hands. Each has a stream of its own, by its place here.
const HANDS: [Hand; 4] = [Hand::Processes, Hand::Processes, Hand::Server, Hand::Wires];

/// How it strikes.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What may strike.
    pub classes: Vec<Class>,
    /// Where processes come to harm between two statements; anywhere, when there are none.
    pub targets: Vec<Target>,
    /// The middle of the pause of one hand between two faults of processes.
    pub pause: Duration,
    /// The same of the server, and of the wires.
    pub server_pause: Duration,
    /// For so long from the beginning nothing strikes the server or the way to it: what that excuses can be judged then.
    pub calm: Duration,
}

/// Strikes until it is told to stop; every fault has been healed when this returns.
///
/// # Errors
/// When a fault cannot be healed, or the ledger cannot be written.
pub async fn run(stage: Arc<Stage>, plan: Plan, stop: CancellationToken) -> anyhow::Result<()> {
    let plan = Arc::new(plan);
    let mut hands = JoinSet::new();
    for (place, hand) in HANDS.into_iter().enumerate() {
        hands.spawn(strike(stage.clone(), place as u64, hand, plan.clone(), stop.clone()));
    }
    while let Some(ended) = hands.join_next().await {
        ended??;
    }
    Ok(())
}

async fn strike(stage: Arc<Stage>, place: u64, hand: Hand, plan: Arc<Plan>, stop: CancellationToken) -> anyhow::Result<()> {
    let of_hand = plan.classes.iter().filter(|class| class.hand() == hand);
    let classes: Vec<(Class, u32)> = of_hand.map(|class| (*class, class.weight())).collect();
    if classes.is_empty() {
        return Ok(());
    }
    let pause = if hand == Hand::Processes { plan.pause } else { plan.server_pause };
    let mut calm = if hand == Hand::Server { plan.calm } else { Duration::ZERO };
    let mut random = stream(stage.seed, Purpose::Nemesis, place);
    loop {
        let wait = pause.mul_f64(random.random_range(0.3..1.7)).max(std::mem::take(&mut calm));
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return Ok(());
        }
        let class = weighted(&mut random, &classes);
        let (begin_us, begin) = (clock::now_us(), chrono::Utc::now());
        let note = class.strike(&stage, &plan.targets, &mut random).await?;
        let fault = Fault { class: class.as_str().into(), begin_us, end_us: clock::now_us(), begin, end: chrono::Utc::now(), note };
        stage.ledger.faults.add_synced(&fault)?;
    }
}
