//! The network between all processes and the server is slow, silent, or loses connections without a word.

use std::time::Duration;

use rand::{RngExt, rngs::StdRng};

use crate::{proxy::Weather, stage::Stage};

pub async fn strike(stage: &Stage, random: &mut StdRng) -> String {
    let time = Duration::from_millis(random.random_range(300..5000));
    let (weather, word) = match random.random_range(0..5) {
        0 => (Weather::Slow(Duration::from_millis(random.random_range(20..400))), "slow"),
        1 | 2 => (Weather::Silent, "silent"),
        3 => (Weather::Dead, "dead"),
        _ => (Weather::Reset, "reset"),
    };
    // A connection that died stays dead: a moment of it strikes all that speak.
    let time = if weather == Weather::Dead { time / 10 } else { time };
    let between = if random.random_ratio(3, 4) { &stage.to_processes } else { &stage.to_producers };
    between.set(weather);
    tokio::time::sleep(time).await;
    between.set(Weather::Clear);
    format!("{word} for {} ms", time.as_millis())
}
