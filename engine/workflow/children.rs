//! Children: jobs that a workflow makes and whose ends it waits for.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::{
    course::{Act, Met},
    step::decode,
};
use crate::{
    Ending, Failure, JobId, JobResult, NewJob, Run, Tx,
    store::{
        child::{self, Endings},
        job,
        parked::Suspension,
        step::Kept,
    },
};

/// A child of a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child(Children);

impl Child {
    /// The job.
    pub fn job_id(&self) -> JobId {
        self.0.jobs[0]
    }

    /// The place of the act that made it.
    pub(super) const fn position(&self) -> i32 {
        self.0.position
    }
}

/// Children that one act of a workflow made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Children {
    name: String,
    position: i32,
    jobs: Vec<JobId>,
}

impl Children {
    /// The jobs, in the order in which they were given, without those that were not made since a live job has their unique
    /// key.
    pub fn jobs(&self) -> &[JobId] {
        &self.jobs
    }
}

/// What is kept of the act that made children.
#[derive(Serialize, Deserialize)]
struct Made(Vec<JobId>);

impl Run {
    /// Makes a child: a job of its own, once, whose end [`Run::join`] waits for. It is cancelled when this workflow is
    /// cancelled or dies, unless it [outlives its parent](NewJob::outlives_parent).
    ///
    /// # Errors
    /// `validation` when the job has a unique or an idempotency key; otherwise as [`Run::children`].
    pub async fn child(&mut self, name: &str, job: &NewJob) -> JobResult<Child> {
        if job.unique.key.is_some() || job.unique.by_args {
            return Err(Failure::validation(format!(
                "the child `{name}` has a unique key: it may be another's, and nobody could be joined"
            )));
        }
        self.children(name, std::slice::from_ref(job)).await.map(Child)
    }

    /// Makes many children in one act: ten thousand are no trouble. One whose unique key a live job has is not made, and is no
    /// child: nobody waits for what others began.
    ///
    /// ```
    /// use engine::{Job, JobResult, NewJob, Outcome, Run};
    ///
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct CallShop { shop: u32 }
    /// # impl Job for CallShop {
    /// #     const KIND: &'static str = "demo.call_shop";
    /// #     async fn run(&self, _: &mut Run) -> JobResult { Ok(Outcome::done()) }
    /// # }
    /// async fn call_all(run: &mut Run, shops: &[u32]) -> JobResult {
    ///     let jobs: Vec<NewJob> = shops.iter().map(|shop| NewJob::of(&CallShop { shop: *shop })).collect::<Result<_, _>>()?;
    ///     let calls = run.children("calls", &jobs).await?;
    ///     let endings = run.join_counts(&calls).await?;
    ///     Ok(Outcome::Done(serde_json::json!({ "called": endings.completed, "failed": endings.dead })))
    /// }
    /// ```
    ///
    /// # Errors
    /// `validation` when a job has an idempotency key, which this act does not need, or is refused; `not_ready` when a queue is full;
    /// otherwise as [`Run::step`].
    pub async fn children(&mut self, name: &str, jobs: &[NewJob]) -> JobResult<Children> {
        let position = match self.meet(Act::Child, name).await? {
            Met::Known(kept) => return self.made(name, &kept),
            Met::New(position) => position,
        };
        let begun = Instant::now();
        let mut tx = self.begin().await?;
        let jobs: Vec<NewJob> = jobs.iter().map(|job| job.on_behalf_of(self.job_id, self.trace.clone())).collect();
        let made = make(&mut tx, self.job_id, position, &jobs).await?;
        self.keep(tx, Act::Child, position, name, begun, &made).await?;
        Ok(Children { name: name.into(), position, jobs: made.0 })
    }

    /// The children that were made where the code stands, by whoever enqueued the workflow; `None` when that is not kept.
    pub(super) async fn children_made(&self, name: &str) -> JobResult<Option<Children>> {
        match self.meet(Act::Child, name).await? {
            Met::Known(kept) => self.made(name, &kept).map(Some),
            Met::New(_) => Ok(None),
        }
    }

    fn made(&self, name: &str, kept: &Kept) -> JobResult<Children> {
        let Made(jobs) = self.known(kept)?;
        Ok(Children { name: name.into(), position: kept.position, jobs })
    }

    /// Waits until a child has ended, and says how.
    ///
    /// ```
    /// use engine::{Ending, Failure, Job, JobResult, NewJob, Outcome, Run};
    ///
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct CallShop { shop: u32 }
    /// # impl Job for CallShop {
    /// #     const KIND: &'static str = "demo.call_shop";
    /// #     async fn run(&self, _: &mut Run) -> JobResult { Ok(Outcome::done()) }
    /// # }
    /// async fn call(run: &mut Run, shop: u32) -> JobResult {
    ///     let call = run.child("call", &NewJob::of(&CallShop { shop })?).await?;
    ///     match run.join(&call).await? {
    ///         Ending::Completed(answer) => Ok(Outcome::Done(answer)),
    ///         Ending::Cancelled(_) => Ok(Outcome::Cancel("the call was cancelled".into())),
    ///         Ending::Dead { .. } => Err(Failure::business_rule(format!("see the dead letter of job {}", call.job_id()))),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// While it waits: hand it on with `?`, the attempt ends there. Otherwise as [`Run::step`].
    pub async fn join(&mut self, child: &Child) -> JobResult<Ending> {
        let mut endings = self.join_all(&child.0).await?;
        endings.pop().ok_or_else(|| Failure::bug(format!("the end of child {} is not kept", child.job_id())))
    }

    /// Waits until one of these children has ended: says which, by its place among them, and how. The others go on; give them
    /// to the next call.
    ///
    /// # Errors
    /// `validation` when there are none; `bug` when the one that ended is not among them any more; otherwise as [`Run::join`].
    pub async fn join_any(&mut self, name: &str, children: &[&Child]) -> JobResult<(usize, Ending)> {
        if children.is_empty() {
            return Err(Failure::validation(format!("`{name}` waits for one of no children")));
        }
        let positions: Vec<i32> = children.iter().map(|child| child.0.position).collect();
        match self.meet(Act::Join, name).await? {
            Met::Known(kept) => {
                let one = self.end_of(name, decode(&kept)?, children).await?;
                self.course.pass(None);
                Ok(one)
            }
            Met::New(position) => {
                let begun = Instant::now();
                let mut tx = self.begin().await?;
                let Some((first, ending)) = child::first(&mut tx, self.job_id, &positions).await? else {
                    return Err(self.course.suspend(Suspension::Child(positions)));
                };
                let place = place_of(name, first, children)?;
                self.keep(tx, Act::Join, position, name, begun, &first).await?;
                Ok((place, ending))
            }
        }
    }

    /// How a child ended for which an act waited, and its place among those for which it waits now. Read before the act is
    /// passed: a handler that meets it again after a failure finds it where it was.
    pub(super) async fn end_of(&self, name: &str, first: JobId, children: &[&Child]) -> JobResult<(usize, Ending)> {
        let place = place_of(name, first, children)?;
        let endings = child::endings(&mut *self.pool.acquire().await?, self.job_id, children[place].position()).await?;
        let (_, ending) = endings.into_iter().next().ok_or_else(|| not_among(name, first))?;
        Ok((place, ending))
    }

    /// Waits until all these children have ended, and says how each did, in their order.
    ///
    /// # Errors
    /// As [`Run::join`].
    pub async fn join_all(&mut self, children: &Children) -> JobResult<Vec<Ending>> {
        let (_, endings) = self.join_with(children, true).await?;
        Ok(endings.into_iter().map(|(_, ending)| ending).collect())
    }

    /// Waits until all these children have ended, and counts how they did: cheaper than their outputs.
    ///
    /// # Errors
    /// As [`Run::join`].
    pub async fn join_counts(&mut self, children: &Children) -> JobResult<Endings> {
        Ok(self.join_with(children, false).await?.0)
    }

    /// Waits until all have ended: how many in which way, and how each did, where that is wanted.
    async fn join_with(&mut self, children: &Children, each: bool) -> JobResult<(Endings, Vec<(JobId, Ending)>)> {
        let (name, of) = (&children.name, children.position);
        let position = match self.meet(Act::Join, name).await? {
            Met::Known(kept) => {
                let counts = decode(&kept)?;
                let endings = if each { child::endings(&mut *self.pool.acquire().await?, self.job_id, of).await? } else { Vec::new() };
                self.course.pass(None);
                return Ok((counts, endings));
            }
            Met::New(position) => position,
        };
        let begun = Instant::now();
        let mut tx = self.begin().await?;
        if child::any_open(&mut tx, self.job_id, &[of]).await? {
            return Err(self.course.suspend(Suspension::Children(vec![of])));
        }
        let counts = child::counts(&mut tx, self.job_id, of).await?;
        let endings = if each { child::endings(&mut tx, self.job_id, of).await? } else { Vec::new() };
        self.keep(tx, Act::Join, position, name, begun, &counts).await?;
        Ok((counts, endings))
    }
}

/// The place of a child among others.
pub(super) fn place_of(name: &str, first: JobId, children: &[&Child]) -> JobResult<usize> {
    children.iter().position(|child| child.job_id() == first).ok_or_else(|| not_among(name, first))
}

fn not_among(name: &str, first: JobId) -> Failure {
    Failure::bug(format!("`{name}` waited for child {first} before, and does not now"))
}

/// Enqueues the children of a step in its transaction.
async fn make(tx: &mut Tx, parent: JobId, position: i32, jobs: &[NewJob]) -> JobResult<Made> {
    if let Some(keyed) = jobs.iter().find(|job| job.idempotency_key.is_some()) {
        return Err(Failure::validation(format!(
            "a child of kind {} has an idempotency key: a workflow makes each child once",
            keyed.kind
        )));
    }
    let ids = job::enqueue_many(tx, jobs).await?;
    let made: Vec<(JobId, bool)> = ids.iter().zip(jobs).filter_map(|(id, job)| Some(((*id)?, job.outlives_parent))).collect();
    let (made, stays): (Vec<JobId>, Vec<bool>) = made.into_iter().unzip();
    child::add(tx, parent, position, &made, &stays).await?;
    Ok(Made(made))
}
