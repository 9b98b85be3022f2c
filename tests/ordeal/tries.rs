//! Series of bad inputs that add up: in parts, each with a seed and a line of the journal of its own.

use std::{path::Path, sync::Arc};

use futures_util::{StreamExt, future::join_all, stream};
use tokio::sync::Mutex;

use crate::{
    inputs::{self, Counts, Wrong, webhooks},
    results::{Line, Origin, Results, Tried},
    server::Server,
};

/// How many inputs are one part.
const PART: u64 = 10_000;
/// How many changed webhooks.
const PART_OF_WEBHOOKS: u64 = 1_000_000;

/// Inputs that need a server.
struct Kind {
    name: &'static str,
    /// How many of them are tried for each that is asked for: those that cost little are many.
    each: u64,
    /// How many parts are tried beside each other: those that wait for leases leave the machine to others.
    beside: usize,
}

const KINDS: [Kind; 4] = [
    Kind { name: "rows", each: 1, beside: 4 },
    Kind { name: "values", each: 10, beside: 1 },
    Kind { name: "SQL", each: 1, beside: 1 },
    Kind { name: "HTTP", each: 1, beside: 1 },
];
/// What changed webhooks are called.
const WEBHOOKS: &str = "changed webhooks";

/// The parts of so many inputs, as a seed and a number each.
fn parts(seed: u64, times: u64, part: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..times.div_ceil(part)).map(move |place| (seed + place, part.min(times - place * part)))
}

/// Tries changed webhooks; parts that the journal has are left out.
///
/// # Errors
/// What was judged wrongly, or the file system's.
pub fn webhooks(seed: u64, times: u64, pages: Option<&Path>) -> anyhow::Result<()> {
    let mut results = pages.map(Results::read).transpose()?;
    for (seed, times) in parts(seed, times, PART_OF_WEBHOOKS) {
        if results.as_ref().is_some_and(|results| results.has_tried(WEBHOOKS, seed, times)) {
            continue;
        }
        note(results.as_mut(), WEBHOOKS, seed, webhooks::mutate(seed, times))?;
    }
    Ok(())
}

/// Tries bad inputs of every kind that needs a server, the kinds beside each other; parts that the journal has are left out.
///
/// # Errors
/// The first of each kind that was judged wrongly, once all were tried; or the server's and the file system's.
pub async fn inputs(server: &Arc<Server>, seed: u64, times: u64, pages: Option<&Path>) -> anyhow::Result<()> {
    let results = &Mutex::new(pages.map(Results::read).transpose()?);
    let of_kind = async |kind: &Kind| {
        // Of the many each series has seeds of its own, as of the few.
        let each = parts(seed.saturating_mul(kind.each), times.saturating_mul(kind.each), PART);
        let each = each.map(|(seed, times)| part_once(server, results, kind.name, seed, times));
        stream::iter(each).buffer_unordered(kind.beside).filter_map(async |came| came.err()).collect::<Vec<_>>().await
    };
    let wrong = join_all(KINDS.iter().map(of_kind)).await;
    wrong.into_iter().flatten().next().map_or(Ok(()), Err)
}

/// Tries one part, unless the journal has it.
async fn part_once(server: &Arc<Server>, results: &Mutex<Option<Results>>, kind: &str, seed: u64, times: u64) -> anyhow::Result<()> {
    if results.lock().await.as_ref().is_some_and(|results| results.has_tried(kind, seed, times)) {
        return Ok(());
    }
    let came = part(server, kind, seed, times).await;
    note(results.lock().await.as_mut(), kind, seed, came)
}

/// Tries one part.
async fn part(server: &Arc<Server>, kind: &str, seed: u64, times: u64) -> Result<Counts, Wrong> {
    match kind {
        "rows" => inputs::rows::try_all(server, seed, times).await,
        "values" => inputs::values::try_all(server, seed, times).await,
        "SQL" => inputs::sql::try_all(server, seed, times).await,
        _ => inputs::api::try_all(server, seed, times).await,
    }
}

/// Says what a part came to, and adds it to the journal.
fn note(results: Option<&mut Results>, kind: &str, seed: u64, came: Result<Counts, Wrong>) -> anyhow::Result<()> {
    if let Some(results) = results {
        results.add(&Line::Inputs(Tried::of(Origin::here(), kind, seed, &came)))?;
    }
    match came {
        Ok(Counts { tried, taken, refused }) => {
            println!("{kind} of seed {seed}: {tried} tried, {taken} taken as they are, {refused} refused");
            Ok(())
        }
        Err(wrong) => {
            eprintln!("{kind} of seed {seed}: {wrong}");
            anyhow::bail!("{kind} of seed {seed} were judged wrongly");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_to_what_was_asked_for() {
        assert_eq!(parts(7, 25, 10).collect::<Vec<_>>(), [(7, 10), (8, 10), (9, 5)]);
        assert_eq!(parts(7, 10, 10).collect::<Vec<_>>(), [(7, 10)]);
        assert_eq!(parts(7, 0, 10).count(), 0);
    }
}
