//! Workflows: jobs whose steps are rows, so that a run passes over what earlier runs have done.
//!
//! Every durable act of a workflow has a place in its order, a kind and a name. What an attempt did is kept with its
//! effects in one transaction that only this attempt may commit; a later attempt runs the same code, and each act
//! that is kept returns what it returned. Code that asks for another act than the one that is kept at its place is told
//! so: it changed while the workflow was on its way.

mod batch;
mod children;
mod compensate;
mod continuing;
mod course;
mod emit;
mod first;
mod patch;
mod step;
mod wait;

pub(crate) use batch::Batch;
pub use batch::{Batched, enqueue_batch_in};
pub use children::{Child, Children};
pub(crate) use compensate::{Undoing, Unwind};
pub(crate) use course::Course;
pub use emit::emit_in;
pub use first::First;
