//! Answers are lost after what they answer was committed: whoever asked cannot know.

use std::time::Duration;

use rand::{RngExt, rngs::StdRng};

use crate::{proxy::Weather, stage::Stage};

pub async fn strike(stage: &Stage, random: &mut StdRng) -> String {
    let time = Duration::from_millis(random.random_range(1500..6000));
    let one_in = random.random_range(8..60);
    for proxy in [&stage.to_processes, &stage.to_producers] {
        proxy.set(Weather::LostReplies(one_in));
    }
    tokio::time::sleep(time).await;
    for proxy in [&stage.to_processes, &stage.to_producers] {
        proxy.set(Weather::Clear);
    }
    format!("one in {one_in} for {} ms", time.as_millis())
}
