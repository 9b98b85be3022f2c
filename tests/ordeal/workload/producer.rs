//! A producer: enqueues programs one by one and in bulk, and asks again for one until it has an answer.

mod calls;

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use engine::{Client, JobId, NewJob};
use rand::{RngExt, rngs::StdRng};
use tokio_util::sync::CancellationToken;

use super::{draw, ways::Way};
use crate::{
    chance::{Purpose, stream},
    clock,
    ledger::{Ack, Intent},
    program::{Death, LIMITS, Program},
    stage::Stage,
    wait::until_accepted,
};

/// How long it waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many programs go together in bulk.
const BULK: usize = 15;
/// How many at most by COPY.
const COPIED: usize = 25;
/// How many at most in a batch that is called back.
const BATCHED: usize = 9;
/// How many of a rate come at once at first: more than may begin in two of its spans.
const RATED: usize = 8;
/// Of how many batches robots cancel one.
const CANCELLED_OF_BATCHES: u32 = 4;

/// One producer.
pub struct Producer {
    stage: Arc<Stage>,
    /// What the names of its programs begin with.
    letter: char,
    number: u64,
    random: StdRng,
    made: u64,
}

impl Producer {
    /// Producer `number` of a run.
    pub fn new(stage: Arc<Stage>, number: u64) -> Self {
        let random = stream(stage.seed, Purpose::Producer, number);
        Self { stage, letter: 'p', number, random, made: 0 }
    }

    /// Enqueues `rate` programs a second, until it is told to stop.
    ///
    /// # Errors
    /// When the ledger cannot be written, or the database refuses what it must take.
    pub async fn run(mut self, rate: f64, stop: CancellationToken) -> anyhow::Result<()> {
        self.special().await?;
        let mut beat = tokio::time::interval(Duration::from_secs_f64(1.0 / rate));
        while stop.run_until_cancelled(beat.tick()).await.is_some() {
            match self.random.random_range(0..120) {
                0..3 => self.bulk().await?,
                3 | 4 => self.copy().await?,
                5 | 6 => self.batch(Some(CANCELLED_OF_BATCHES)).await?,
                7 | 8 => self.burst().await?,
                9..14 => {
                    let key = self.key();
                    let gathered = draw::gathered(&mut self.random, key);
                    self.enqueue(gathered).await?;
                }
                _ => {
                    let key = self.key();
                    let program = draw::program(&mut self.random, key);
                    self.enqueue(program).await?;
                }
            }
            if self.random.random_ratio(1, 25) {
                let key = self.key();
                for program in draw::pair(&mut self.random, &key) {
                    self.enqueue(program).await?;
                }
            }
            if self.random.random_ratio(1, 40) {
                let key = self.key();
                let family = draw::family(&mut self.random, &key);
                self.enqueue(family).await?;
            }
            if self.random.random_ratio(1, 60) {
                let held = draw::held(self.key());
                self.enqueue(held).await?;
            }
            if self.random.random_ratio(1, 60) {
                let doomed = draw::doomed(self.key());
                self.enqueue(doomed).await?;
            }
            if self.random.random_ratio(1, 40) {
                let key = self.key();
                let hurried = draw::hurried(&mut self.random, key);
                self.enqueue(hurried).await?;
            }
            if self.random.random_ratio(1, 40) {
                let key = self.key();
                let apart = draw::apart(&mut self.random, key);
                self.enqueue(apart).await?;
            }
            if self.random.random_ratio(1, 20) {
                let key = self.key();
                let frail = draw::frail(&mut self.random, key);
                self.enqueue(frail).await?;
            }
            if self.random.random_ratio(1, 100) {
                let distant = draw::distant(self.key());
                self.enqueue(distant).await?;
            }
        }
        Ok(())
    }

    /// What every run must have: the first producer makes it.
    async fn special(&mut self) -> anyhow::Result<()> {
        if self.number > 0 {
            return Ok(());
        }
        let death = [Death::Abort, Death::Stack, Death::Memory][self.random.random_range(0..3)];
        let key = self.key();
        let apart = draw::apart(&mut self.random, key);
        for program in [draw::poison(self.key(), death), draw::held(self.key()), draw::distant(self.key()), apart] {
            self.enqueue(program).await?;
        }
        // The deadline of one has passed when it comes up, and that of the other has not.
        for deadline_ms in [0, 60_000] {
            let key = self.key();
            let hurried = Program { deadline_ms: Some(deadline_ms), ..draw::hurried(&mut self.random, key) };
            self.enqueue(hurried).await?;
        }
        // On a slow machine chance may make none of one sort: one that nobody cancels, and one that robots do at once.
        self.batch(None).await?;
        self.batch(Some(1)).await?;
        // Others of the rate are too rare to crowd.
        let rated: Vec<Program> = (0..RATED).map(|_| draw::rated(self.key())).collect();
        self.together(&rated).await
    }

    fn key(&mut self) -> String {
        self.made += 1;
        format!("{}{}-{}", self.letter, self.number, self.made)
    }

    async fn enqueue(&mut self, program: Program) -> anyhow::Result<()> {
        let ledger = &self.stage.ledger;
        ledger.intents.add_synced(&Intent {
            at_us: clock::now_us(),
            programs: vec![program.clone()],
            keyed: true,
            copied: false,
            callback: None,
        })?;
        let way = Way::of(&mut self.random, &program);
        let producer = format!("producer {}", self.number);
        let (answer, asked_again) = until_accepted(PATIENCE, || way.ask(&self.stage, &producer, &program)).await;
        let (id, created) = answer.with_context(|| format!("program {} is refused", program.key))?;
        let ack = Ack { over_http: way == Way::Http, ..Ack::now(program.key.clone(), vec![Some(id)], created, asked_again) };
        ledger.acks.add_synced(&ack)?;
        self.stage.made(&program, id);
        Ok(())
    }

    /// Many in one transaction. Without an answer nobody knows what became of them: all are there, or none.
    async fn bulk(&mut self) -> anyhow::Result<()> {
        let mut programs = Vec::new();
        for _ in 0..BULK {
            let key = self.key();
            programs.push(draw::program(&mut self.random, key));
        }
        // Of these two the second finds the key held, by the same statement.
        let of = self.key();
        programs.extend([draw::twin(self.key(), &of), draw::twin(self.key(), &of)]);
        self.together(&programs).await
    }

    /// Many quick ones of one limit key in one transaction.
    async fn burst(&mut self) -> anyhow::Result<()> {
        let (limit, ..) = LIMITS[self.random.random_range(0..LIMITS.len())];
        let mut programs = Vec::new();
        for _ in 0..BULK {
            let key = self.key();
            programs.push(draw::quick(&mut self.random, key, limit));
        }
        self.together(&programs).await
    }

    async fn together(&self, programs: &[Program]) -> anyhow::Result<()> {
        let jobs = self.mean(programs, false, None)?;
        let client = Client::new(self.stage.producers.clone());
        let asking = tokio::time::timeout(PATIENCE, client.enqueue_many(&jobs)).await;
        self.acknowledge(programs, asking.ok().and_then(Result::ok))
    }

    /// Many in one transaction by COPY: all are there, or none.
    async fn copy(&mut self) -> anyhow::Result<()> {
        let programs = self.keyless(COPIED);
        let jobs = self.mean(&programs, true, None)?;
        let client = Client::new(self.stage.producers.clone());
        let asking = tokio::time::timeout(PATIENCE, client.enqueue_copy(&jobs)).await;
        self.acknowledge(&programs, asking.ok().and_then(Result::ok).map(|ids| ids.into_iter().map(Some).collect()))
    }

    /// Some with a program that is called back when they have ended: all are there, or none. Robots cancel one of so many.
    async fn batch(&mut self, cancelled_of: Option<u32>) -> anyhow::Result<()> {
        let programs = self.keyless(BATCHED);
        let callback = draw::called_back(self.key());
        let jobs = self.mean(&programs, false, Some(&callback))?;
        let client = Client::new(self.stage.producers.clone());
        let called = callback.job();
        let asking = tokio::time::timeout(PATIENCE, client.enqueue_batch(&jobs, &called)).await;
        let batched = asking.ok().and_then(Result::ok);
        let id = batched.as_ref().map(|batched| batched.id.0);
        self.acknowledge(&programs, batched.map(|batched| batched.jobs))?;
        if let (Some(id), Some(one_of)) = (id, cancelled_of) {
            self.stage.made_batch(&callback, id, one_of);
        }
        Ok(())
    }

    fn keyless(&mut self, most: usize) -> Vec<Program> {
        let count = self.random.random_range(2..most);
        let mut programs = Vec::new();
        for _ in 0..count {
            let key = self.key();
            programs.push(draw::keyless(&mut self.random, key));
        }
        programs
    }

    /// Takes note that programs are to be enqueued together, and perhaps what is called back after them.
    fn mean(&self, programs: &[Program], copied: bool, callback: Option<&Program>) -> anyhow::Result<Vec<NewJob>> {
        let intent = Intent { at_us: clock::now_us(), programs: programs.to_vec(), keyed: false, copied, callback: callback.cloned() };
        self.stage.ledger.intents.add_synced(&intent)?;
        Ok(programs.iter().map(Program::job).collect())
    }

    /// Takes note of what became of them, where there was an answer.
    fn acknowledge(&self, programs: &[Program], answer: Option<Vec<Option<JobId>>>) -> anyhow::Result<()> {
        let Some(ids) = answer else { return Ok(()) };
        let jobs = ids.into_iter().map(|id| id.map(|id| id.0)).collect();
        Ok(self.stage.ledger.acks.add_synced(&Ack::now(programs[0].key.clone(), jobs, true, 0))?)
    }
}
