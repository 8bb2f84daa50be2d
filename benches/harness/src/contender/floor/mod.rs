//! Clients without a client library: what panpipe is held to.
//!
//! ```text
//!              what is done for each command            how bytes move
//!   floor      nothing: bytes made beforehand,          epoll (mio), or
//!              line ends of the replies counted         io_uring
//!   floor-full slot, owner, encoding, scanning
//!                                    Wire ◀── Floor ──▶ Carrier
//! ```
//!
//! Nothing is kept of a command but one counter per node, so replies cannot be told apart: there are no results, no redirects, no
//! deadlines, no reconnects. Invariant: at the end of a flush every command of it is answered; at most one connection per node.

use anyhow::Result;

use super::{Contender, Counters, Done, Setting, Setup};
use crate::plan::{Op, Plan};

mod epoll;
mod full;
mod prebuilt;
#[cfg(target_os = "linux")]
mod ring;
mod scan;
pub(super) mod sockets;
#[cfg(test)]
mod tests;

pub(super) use full::{Encoder, Outbox};
#[cfg(target_os = "linux")]
pub(super) use ring::{CHOICES, Variant};
pub(super) use scan::{Kinds, Scanner};

use epoll::Epoll;
use full::Full;
use prebuilt::Prebuilt;
use sockets::Routes;

/// Which bytes leave, and what is made of those that come.
trait Wire: Sized {
    /// For the commands of this plan.
    fn new(plan: &Plan, routes: Routes, nodes: usize) -> Self;

    /// Makes the bytes of a flush ready for its nodes.
    fn stage_flush(&mut self, plan: &Plan, at: usize);

    /// The same for the `number`th part of the plan, where all its commands stand in a row that begins again at its end and a part
    /// has so many `commands`. Answers how many it has: less at the end of the row.
    fn stage_part(&mut self, plan: &Plan, number: u64, commands: usize) -> usize;

    /// Bytes for a node that have not left. Until [`Wire::sent`] they stay where they are, whatever is staged meanwhile: a kernel may
    /// be reading them.
    fn unsent(&mut self, node: usize) -> &[u8];

    /// Whether nothing is staged for a node beyond what [`Wire::unsent`] will answer.
    #[cfg(target_os = "linux")]
    fn unsent_is_all(&self, node: usize) -> bool;

    /// So many of the bytes that [`Wire::unsent`] answered have left.
    fn sent(&mut self, node: usize, bytes: usize);

    /// Looks at bytes from a node. Answers how many error replies came to their end with them.
    ///
    /// # Errors
    /// Where they are no replies.
    fn received(&mut self, node: usize, bytes: &[u8]) -> Result<u64>;

    /// Whether a node owes replies.
    fn owes(&self, node: usize) -> bool;

    /// Commands, of all nodes, whose replies have not come: never fewer than there are.
    fn in_flight(&self) -> u64;

    fn settings() -> Vec<Setting>;
}

/// How bytes are moved.
trait Carrier: Sized {
    /// In which ways it can move them.
    type Choice;

    /// With a connection to each node.
    fn new(setup: &Setup, plan: &Plan, choice: Self::Choice) -> Result<Self>;

    /// Sends what is staged, and receives until at most `in_flight_max` commands are in flight; everything has left where that is 0.
    /// Answers the errors among the replies.
    ///
    /// # Errors
    /// Where a connection or a reply is broken.
    fn pump<W: Wire>(&mut self, wire: &mut W, in_flight_max: u64) -> Result<u64>;

    fn counters(&self) -> Counters;

    fn settings(&self) -> Vec<Setting>;
}

struct Floor<W, C> {
    // Dropped first: until then a kernel may read from the wire's buffers.
    carrier: C,
    wire: W,
    /// The part of the plan that a stream sends next.
    next_part: u64,
}

fn start<W: Wire + 'static, C: Carrier + 'static>(
    setup: &Setup,
    plan: &Plan,
    choice: C::Choice,
) -> Result<Box<dyn Contender>> {
    let wire = W::new(plan, sockets::routes(setup)?, setup.nodes.len());
    Ok(Box::new(Floor { carrier: C::new(setup, plan, choice)?, wire, next_part: 0 }))
}

/// `floor`.
pub(super) fn prebuilt(setup: &Setup, plan: &Plan) -> Result<Box<dyn Contender>> {
    start::<Prebuilt, Epoll>(setup, plan, ())
}

/// `floor-full`.
pub(super) fn full(setup: &Setup, plan: &Plan) -> Result<Box<dyn Contender>> {
    start::<Full, Epoll>(setup, plan, ())
}

/// `floor-ring`.
#[cfg(target_os = "linux")]
pub(super) fn prebuilt_ring(setup: &Setup, plan: &Plan, variant: Variant) -> Result<Box<dyn Contender>> {
    start::<Prebuilt, ring::Ring>(setup, plan, variant)
}

/// `floor-full-ring`.
#[cfg(target_os = "linux")]
pub(super) fn full_ring(setup: &Setup, plan: &Plan, variant: Variant) -> Result<Box<dyn Contender>> {
    start::<Full, ring::Ring>(setup, plan, variant)
}

/// How many commands a stream sends at a time: it waits until its window has this much room.
fn part_commands(window: usize) -> usize {
    (window / 2).max(1)
}

/// How many parts of so many commands the plan has.
fn parts(plan: &Plan, commands: usize) -> u64 {
    let all: usize = plan.flushes.iter().map(Vec::len).sum();
    all.div_ceil(commands.max(1)) as u64
}

/// Gives the commands of a part to `take`, some at a time; see [`Wire::stage_part`].
fn for_part(plan: &Plan, number: u64, commands: usize, mut take: impl FnMut(&[Op])) {
    let mut skip = (number % parts(plan, commands).max(1)) as usize * commands;
    let mut missing = commands;
    for ops in &plan.flushes {
        if skip >= ops.len() {
            skip -= ops.len();
            continue;
        }
        let some = &ops[skip..ops.len().min(skip + missing)];
        take(some);
        skip = 0;
        missing -= some.len();
        if missing == 0 {
            return;
        }
    }
}

impl<W: Wire, C: Carrier> Contender for Floor<W, C> {
    fn settings(&self) -> Vec<Setting> {
        let mut settings = vec![
            ("threads".into(), "1".into()),
            ("connections per node".into(), "1".into()),
            ("protocol".into(), "RESP2".into()),
            ("streams".into(), "half a window of commands leaves whenever there is room for it".into()),
        ];
        settings.extend(W::settings());
        settings.extend(self.carrier.settings());
        settings
    }

    fn flush(&mut self, plan: &Plan, at: usize) -> Result<u64> {
        self.wire.stage_flush(plan, at);
        self.carrier.pump(&mut self.wire, 0)
    }

    fn stream(&mut self, plan: &Plan, commands: u64, window: usize) -> Result<Done> {
        let part = part_commands(window);
        let mut done = Done::default();
        while done.commands < commands {
            // What is counted as done here is submitted; the last call waits for all of it.
            while done.commands < commands && self.wire.in_flight() + part as u64 <= window.max(1) as u64 {
                done.commands += self.wire.stage_part(plan, self.next_part, part) as u64;
                self.next_part += 1;
                done.flushes += 1;
            }
            done.errors += self.carrier.pump(&mut self.wire, (window - part.min(window)) as u64)?;
        }
        done.errors += self.carrier.pump(&mut self.wire, 0)?;
        Ok(done)
    }

    fn counters(&self) -> Option<Counters> {
        Some(self.carrier.counters())
    }
}
