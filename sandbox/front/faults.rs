//! What goes wrong, by request or by chance.

use std::collections::VecDeque;
use std::sync::Mutex;

use rand::RngExt;
use rand::rngs::StdRng;

use crate::chance;

/// What a system does instead of answering as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Refuses with 429, and asks to be left alone for so many seconds.
    RateLimited(u32),
    /// Refuses with this status, having done nothing.
    Status(u16),
    /// Does nothing and never answers.
    Hang,
    /// Does nothing and closes the connection.
    Reset,
    /// Does what it is asked, and closes the connection instead of answering.
    LostReply,
    /// Does what it is asked, and never answers.
    LateReply,
    /// Does what it is asked, and answers with 200 and nonsense.
    Garbage,
}

impl Fault {
    /// Whether the system does what it is asked all the same.
    pub(crate) const fn acts(self) -> bool {
        matches!(self, Self::LostReply | Self::LateReply | Self::Garbage)
    }
}

/// How often each fault happens by chance, from 0 (never) to 1 (always).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct FaultRates {
    /// [`Fault::RateLimited`], of one second.
    pub rate_limited: f64,
    /// [`Fault::Status`] 500 and 503 in turn.
    pub failing: f64,
    /// [`Fault::Reset`].
    pub reset: f64,
    /// [`Fault::LostReply`].
    pub lost_reply: f64,
    /// [`Fault::Garbage`].
    pub garbage: f64,
}

/// The faults of one system.
pub(crate) struct Faults {
    due: Mutex<Due>,
}

struct Due {
    /// `None`: nothing is wrong with the request.
    next: VecDeque<Option<Fault>>,
    always: Option<Fault>,
    rates: FaultRates,
    random: StdRng,
    given: u64,
}

impl Faults {
    pub(crate) fn new(seed: u64, rates: FaultRates) -> Self {
        let random = chance::stream(seed, 0, u8::MAX);
        Self { due: Mutex::new(Due { next: VecDeque::new(), always: None, rates, random, given: 0 }) }
    }

    /// These, one a request, before any other.
    pub(crate) fn ask(&self, faults: impl IntoIterator<Item = Fault>) {
        self.ask_after(0, faults);
    }

    /// As [`ask`](Self::ask), but after so many requests that nothing is wrong with.
    pub(crate) fn ask_after(&self, sound: usize, faults: impl IntoIterator<Item = Fault>) {
        let next = std::iter::repeat_n(None, sound).chain(faults.into_iter().map(Some));
        self.due.lock().expect("no holder of this lock panics").next.extend(next);
    }

    /// This at each request, until told otherwise.
    pub(crate) fn always(&self, fault: Option<Fault>) {
        self.due.lock().expect("no holder of this lock panics").always = fault;
    }

    /// How many requests met a fault.
    pub(crate) fn given(&self) -> u64 {
        self.due.lock().expect("no holder of this lock panics").given
    }

    /// How many faults are still to come: those that were asked for, and one for a fault at each request.
    pub(crate) fn left(&self) -> usize {
        let due = self.due.lock().expect("no holder of this lock panics");
        due.next.iter().flatten().count() + usize::from(due.always.is_some())
    }

    /// What goes wrong with the next request.
    pub(crate) fn next(&self) -> Option<Fault> {
        let mut due = self.due.lock().expect("no holder of this lock panics");
        let fault = due.next();
        due.given += u64::from(fault.is_some());
        fault
    }
}

impl Due {
    fn next(&mut self) -> Option<Fault> {
        if let Some(said) = self.next.pop_front() {
            return said;
        }
        if self.always.is_some() {
            return self.always;
        }
        let rates = self.rates;
        let mut left: f64 = self.random.random();
        let status = if left * 1_000.0 % 2.0 < 1.0 { 500 } else { 503 };
        let kinds = [
            (rates.rate_limited, Fault::RateLimited(1)),
            (rates.failing, Fault::Status(status)),
            (rates.reset, Fault::Reset),
            (rates.lost_reply, Fault::LostReply),
            (rates.garbage, Fault::Garbage),
        ];
        for (rate, fault) in kinds {
            if left < rate {
                return Some(fault);
            }
            left -= rate;
        }
        None
    }
}
