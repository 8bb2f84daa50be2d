//! What the asynchronous clients have in common: a runtime of one thread, streams with so many futures in flight, lanes of batches.
//!
//! It knows no client. A client's own tasks run while one of these methods does, on the same thread: a runtime with more threads costs
//! each of these clients more processor time.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures::stream::{FuturesUnordered, StreamExt as _, TryStreamExt as _};
use tokio::runtime::{Builder, Runtime};

use super::{Contender, Done, Setting};
use crate::measure::Latencies;
use crate::plan::{Op, Plan};

/// An asynchronous client, connected.
pub(super) trait Peer {
    /// What is its own; the runtime's settings are added.
    fn settings(&self) -> Vec<Setting>;

    /// Sends one command and answers whether its reply was as it should be.
    async fn single(&self, plan: &Plan, op: Op) -> Result<Reply>;

    /// Sends a batch the way that is fastest for this client, and answers how many replies were not as they should be.
    async fn batch(&self, plan: &Plan, ops: &[Op]) -> Result<u64> {
        let mut replies: FuturesUnordered<_> = ops.iter().map(|&op| self.single(plan, op)).collect();
        let mut errors = 0;
        while let Some(reply) = replies.try_next().await? {
            errors += reply.errors();
        }
        Ok(errors)
    }
}

/// A reply that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Expected,
    /// An error of the server, or a value of another kind.
    Wrong,
}

impl Reply {
    /// Expected, if this is true.
    pub(super) fn expected(it_is: bool) -> Reply {
        if it_is { Reply::Expected } else { Reply::Wrong }
    }

    /// For sums.
    pub(super) fn errors(self) -> u64 {
        u64::from(self == Reply::Wrong)
    }
}

/// A runtime of one thread, the caller's.
///
/// # Errors
/// Where the system has no descriptors left.
pub(super) fn runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("tokio cannot start")
}

/// The client and the runtime on which it lives.
pub(super) struct OnTokio<P> {
    // Dropped first: clients notice that their runtime goes away.
    pub(super) peer: P,
    pub(super) runtime: Runtime,
}

impl<P: Peer> Contender for OnTokio<P> {
    fn settings(&self) -> Vec<Setting> {
        let mut settings = self.peer.settings();
        settings.push(("runtime".into(), "tokio, current thread".into()));
        settings.push(("threads".into(), "1".into()));
        settings
    }

    fn flush(&mut self, plan: &Plan, at: usize) -> Result<u64> {
        let ops = plan.flushes[at].as_slice();
        self.runtime.block_on(async {
            match ops {
                [op] => Ok(self.peer.single(plan, *op).await?.errors()),
                ops => self.peer.batch(plan, ops).await,
            }
        })
    }

    fn stream(&mut self, plan: &Plan, commands: u64, window: usize) -> Result<Done> {
        let mut ops = plan.flushes.iter().flatten().cycle();
        let mut done = Done::default();
        self.runtime.block_on(async {
            let mut in_flight = FuturesUnordered::new();
            let mut submitted = 0;
            while done.commands < commands {
                while submitted < commands && in_flight.len() < window {
                    let Some(&op) = ops.next() else { bail!("the plan is empty") };
                    in_flight.push(self.peer.single(plan, op));
                    submitted += 1;
                }
                let Some(reply) = in_flight.next().await else { bail!("nothing is in flight") };
                done.errors += reply?.errors();
                done.commands += 1;
            }
            Ok(())
        })?;
        // There are no flushes: as many as there were windows.
        done.flushes = commands.div_ceil(window.max(1) as u64);
        Ok(done)
    }

    fn stress(
        &mut self,
        plan: &Plan,
        lanes: usize,
        time: Duration,
        latencies: &mut Latencies,
    ) -> Result<Option<Done>> {
        let end = super::until(time);
        let (done, next) = (Cell::new(Done::default()), Cell::new(0));
        let latencies = RefCell::new(latencies);
        self.runtime.block_on(async {
            let lane = || async {
                loop {
                    let began = Instant::now();
                    if began >= end {
                        return anyhow::Ok(());
                    }
                    let at = next.replace(next.get() + 1) % plan.flushes.len();
                    let ops = plan.flushes[at].as_slice();
                    let errors = self.peer.batch(plan, ops).await?;
                    latencies.borrow_mut().record(began.elapsed());
                    let mut now = done.get();
                    now.flushes += 1;
                    now.commands += ops.len() as u64;
                    now.errors += errors;
                    done.set(now);
                }
            };
            let lanes: FuturesUnordered<_> = (0..lanes).map(|_| lane()).collect();
            lanes.try_collect::<()>().await
        })?;
        Ok(Some(done.get()))
    }
}
