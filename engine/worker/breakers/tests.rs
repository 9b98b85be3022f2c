//! What a worker keeps in mind of the systems that its kinds call.

use super::*;
use crate::{Category, JobId, run::Heard, store::parked::Suspension};

const MAIL: &str = "mail";

fn breakers() -> Breakers {
    let known = Known { systems: HashMap::from([(MAIL, System::default())]), ..Known::default() };
    Breakers { names: vec![MAIL], known: Mutex::new(known), ..Breakers::default() }
}

fn job(taken: Instant) -> Claimed {
    Claimed { job_id: JobId(7), attempt: 1, taken: Some(taken), ..Claimed::default() }
}

fn seen_barred(breakers: &Breakers, at: Instant) {
    let mut known = breakers.known();
    let system = known.systems.get_mut(MAIL).expect("it is known");
    (system.barred, system.seen) = (true, Some(at));
}

fn failed(wait_s: u64) -> Word {
    Word::Failed(Failure::upstream("down").retry_after(Duration::from_secs(wait_s)))
}

#[tokio::test]
async fn what_was_claimed_before_its_system_was_seen_down_is_given_back() {
    let (breakers, start) = (breakers(), Instant::now());
    assert!(!breakers.bars(MAIL, &job(start)).await);
    seen_barred(&breakers, start + Duration::from_secs(1));
    assert!(breakers.bars(MAIL, &job(start)).await);
    assert!(!breakers.bars(MAIL, &job(start + Duration::from_secs(2))).await, "the claim has seen it closed since");
    assert!(!breakers.bars(MAIL, &Claimed { probe: true, ..job(start) }).await, "a probe is to find out");
    assert!(!breakers.bars("another", &job(start)).await);
}

#[tokio::test]
async fn after_many_failures_none_begins_until_they_are_told() {
    let (breakers, start) = (breakers(), Instant::now());
    for _ in 0..MANY {
        assert!(!breakers.bars(MAIL, &job(start)).await);
        breakers.note(MAIL, &job(start), start, failed(0));
    }
    tokio::time::timeout(Duration::from_millis(1), breakers.urgent()).await.expect("it should be told at once");
    let early = job(start);
    let waiting = breakers.bars(MAIL, &early);
    tokio::pin!(waiting);
    assert!(tokio::time::timeout(Duration::from_millis(10), &mut waiting).await.is_err(), "it waits");
    breakers.untold(&[]).expect("there is something to tell").arrived(&[]);
    seen_barred(&breakers, start + Duration::from_secs(1));
    breakers.told.notify_waiters();
    assert!(waiting.await, "and is given back");
}

#[tokio::test]
async fn what_no_answer_came_to_is_told_again() {
    let (breakers, start) = (breakers(), Instant::now());
    for _ in 0..MANY {
        breakers.note(MAIL, &job(start), start, failed(0));
    }
    breakers.note(MAIL, &Claimed { probe: true, ..job(start) }, start, Word::Answered);
    let telling = async {
        let _untold = breakers.untold(&[]).expect("there is something to tell");
        std::future::pending::<()>().await;
    };
    assert!(tokio::time::timeout(Duration::from_millis(1), telling).await.is_err(), "the database does not answer");
    breakers.note(MAIL, &job(start), start, failed(0));
    let again = breakers.untold(&[]).expect("all of it is here");
    assert_eq!((again.ends[0].ended, again.probed.len()), (MANY + 1, 1));
    again.arrived(&[]);
    assert_eq!(breakers.known().systems[MAIL].failures, 0, "no attempt waits for it any more");
}

#[test]
fn ends_are_added_up_and_what_ran_into_a_known_outage_says_only_how_long_to_wait() {
    let (breakers, start) = (breakers(), Instant::now());
    for wait in [3, 9, 5] {
        breakers.note(MAIL, &job(start), start, failed(wait));
    }
    breakers.note(MAIL, &job(start), start, Word::Answered);
    breakers.note(MAIL, &job(start), start, Word::Nothing);
    seen_barred(&breakers, start + Duration::from_secs(1));
    breakers.note(MAIL, &job(start), start, Word::Answered);
    breakers.note(MAIL, &job(start), start, failed(30));
    let known = breakers.known();
    let told: Vec<_> = known.ends.iter().map(|end| (end.category, end.ended, end.wait_ms)).collect();
    assert_eq!(told, [(Some("upstream"), 3, Some(30_000)), (None, 1, None)]);
    assert_eq!(known.systems[MAIL].failures, 3);
}

#[test]
fn a_probe_is_told_of_by_itself() {
    let (breakers, start) = (breakers(), Instant::now());
    let probe = Claimed { probe: true, ..job(start) };
    breakers.note(MAIL, &probe, start, failed(2));
    breakers.note(MAIL, &probe, start, Word::Answered);
    breakers.note(MAIL, &probe, start, Word::NoCall);
    let known = breakers.known();
    let probed: Vec<_> = known.probed.iter().map(|probed| (probed.job_id, probed.finding)).collect();
    assert_eq!(probed, [(JobId(7), Finding::Failed("upstream")), (JobId(7), Finding::Answered), (JobId(7), Finding::NoCall)]);
    assert_eq!((known.ends.len(), known.ends[0].ended, known.ends[0].wait_ms), (1, 0, Some(2000)));
}

#[test]
fn what_a_handler_says_of_its_call_comes_before_how_its_attempt_ended() {
    let done = Verdict::Completed(serde_json::Value::Null);
    let failed = |failure| Some(Said::Failed(failure));
    assert!(matches!(Word::of(Some(&done), None), Word::Answered));
    assert!(matches!(Word::of(Some(&done), failed(Failure::timeout("late"))), Word::Failed(_)));
    let ours = Failure::from(sqlx::Error::PoolClosed);
    assert!(matches!(Word::of(Some(&done), failed(ours)), Word::Nothing), "the engine's own database was away");
    assert!(matches!(Word::of(Some(&Verdict::Released), None), Word::Nothing));
    assert!(matches!(Word::of(None, None), Word::Nothing));
    assert!(matches!(Word::of(Some(&done), Some(Said::NoCall)), Word::NoCall), "there was nothing to do");
}

#[test]
fn an_attempt_that_ends_before_its_job_is_done_says_what_its_calls_said() {
    let waiting = Verdict::Waiting(Suspension::Event(None));
    for early in [&waiting, &Verdict::Snoozed(1), &Verdict::Cancelled("not wanted".into())] {
        assert!(matches!(Word::of(Some(early), None), Word::NoCall), "who calls and ends so says what he heard");
        assert!(matches!(Word::of(Some(early), Some(Said::Answered)), Word::Answered));
    }
    let later = Verdict::Failed { category: Category::Upstream, message: "down".into(), retry_after_ms: None };
    assert!(matches!(Word::of(Some(&later), Some(Said::Answered)), Word::Failed(_)), "what answered first has failed since");
    let heard = Heard::default();
    heard.answered();
    heard.add(&Failure::from(sqlx::Error::PoolClosed));
    assert!(matches!(Word::of(Some(&later), heard.take()), Word::Nothing), "its failure is of the engine's own database");
}
