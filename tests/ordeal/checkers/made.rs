//! Facts that tests make: few, and each with nothing but what its test is about.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::{
    facts::{Attempt, Facts, Job, Switch},
    kinds::{CALLED, Play},
    ledger::{Ack, Fault, Intent},
    process::Life,
    program::{Act, Manner, Played, Program},
    witness::{What, Word},
};

/// A moment by the wall. Both clocks begin at zero.
pub fn wall(ms: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::milliseconds(ms)
}

/// Something that happened to a worker's process.
pub fn life(ms: i64, pid: u32, what: &str) -> Life {
    Life { at_us: ms * 1000, at: wall(ms), pid, role: "worker-0".into(), what: what.into() }
}

/// A fault of a class.
pub fn fault(class: &str, begin_ms: i64, end_ms: i64, note: &str) -> Fault {
    Fault {
        class: class.into(),
        begin_us: begin_ms * 1000,
        end_us: end_ms * 1000,
        begin: wall(begin_ms),
        end: wall(end_ms),
        note: note.into(),
    }
}

/// A word of a job's first attempt.
pub fn word(ms: i64, pid: u32, job: i64, program: &str, what: What) -> Word {
    Word { at_us: ms * 1000, pid, job, attempt: 1, worker: i64::from(pid), program: program.into(), what }
}

/// An attempt of worker 1.
pub fn attempt(job_id: i64, attempt: i32, outcome: &str) -> Attempt {
    Attempt {
        job_id,
        attempt,
        worker_id: Some(1),
        started_at: wall(0),
        finished_at: wall(0),
        outcome: outcome.into(),
        category: None,
        error: Some("a word".into()),
        output: None,
        policy_version: None,
    }
}

/// A change of the breaker that holds programs, held by nobody; where a probe is on its way it is job 1.
pub fn switch(ms: i64, state: &str) -> Switch {
    Switch {
        id: ms,
        system: CALLED.into(),
        state: state.into(),
        held: None,
        probe_at: (state != "closed").then(|| wall(ms)),
        probe_job: (state == "half_open").then_some(1),
        probe_attempt: (state == "half_open").then_some(1),
        at: wall(ms),
    }
}

/// A program that does nothing.
pub fn program(key: &str) -> Program {
    Program {
        key: key.into(),
        acts: vec![Act::Finish],
        unique: None,
        manner: Manner::Yields,
        played: Played::Alone,
        limit: None,
        delay_ms: 0,
        deadline_ms: None,
        priority: 5,
        max_attempts: None,
        chaff: serde_json::Value::Null,
    }
}

/// Adds a program's job, whose id is above those that are there.
pub fn add_job(facts: &mut Facts, id: i64, program: &Program) {
    facts.by_key.entry(program.key.clone()).or_default().push(facts.jobs.len());
    facts.programs.insert(program.key.clone(), program.clone());
    facts.jobs.push(Job {
        id,
        kind: <Play as engine::Job>::KIND.into(),
        args: json!({ "key": program.key }),
        unique_key: program.unique.clone(),
        limit_key: program.limit.clone(),
        priority: program.priority,
        parent_id: None,
        requeued_from: None,
        deadline: None,
        created_at: wall(0),
    });
}

/// Adds that programs were asked for together, each with the job that was told of at once.
pub fn ask(facts: &mut Facts, ms: i64, asked: &[(&Program, Option<i64>)]) {
    let programs: Vec<Program> = asked.iter().map(|(program, _)| (*program).clone()).collect();
    let (at_us, key, jobs) = (ms * 1000, programs[0].key.clone(), asked.iter().map(|(_, job)| *job).collect());
    facts.acks.insert(key.clone(), Ack { at_us, ..Ack::now(key, jobs, true, 0) });
    facts.intents.push(Intent { at_us, keyed: programs.len() == 1, programs, copied: false, callback: None });
}
