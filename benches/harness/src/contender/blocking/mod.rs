//! What can be done with plain blocking sockets: one node after the other, a thread per node, or one thread that writes to all before it
//! reads from any. Routing, encoding and scanning are those of `floor-full`.
//!
//! All three write the bytes of a node before they read its replies. A server may stop reading while its replies are not read, and then
//! both wait for ever; so a flush for which that is possible is refused.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, Result, bail};

use super::floor::sockets::{connect, routes};
use super::floor::{Encoder, Kinds, Scanner};
use super::{Contender, Counters, Setting, Setup};
use crate::plan::{Plan, Verb};

mod threads;

pub(super) use threads::start as threads;

const INBOX_BYTES: usize = 64 << 10;
/// One direction of a connection takes this much without anybody reading. Where either the requests or the replies of a node are no
/// more than this, its server can always go on.
const UNREAD_BYTES_MAX: usize = 64 << 10;

/// One connection.
struct Link {
    socket: TcpStream,
    scanner: Scanner,
    counters: Counters,
}

impl Link {
    fn open_all(setup: &Setup, plan: &Plan) -> Result<Vec<Link>> {
        let kinds = Kinds::of(plan);
        let link = |socket| Link { socket, scanner: Scanner::new(kinds), counters: Counters::default() };
        Ok(connect(setup)?.into_iter().map(link).collect())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            self.counters.writes += 1;
            match self.socket.write(rest) {
                Ok(0) => bail!("the server closed the connection"),
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("a connection broke"),
            }
        }
        self.counters.bytes_written += bytes.len() as u64;
        Ok(())
    }

    /// Reads until so many commands are answered. Answers how many of them with an error.
    fn read(&mut self, commands: u64, inbox: &mut [u8]) -> Result<u64> {
        let (mut missing, mut errors) = (commands, 0);
        while missing > 0 {
            self.counters.reads += 1;
            let read = match self.socket.read(inbox) {
                Ok(0) => bail!("the server closed the connection"),
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("a connection broke"),
            };
            self.counters.bytes_read += read as u64;
            let seen = self.scanner.scan(&inbox[..read])?;
            let Some(rest) = missing.checked_sub(seen.replies) else {
                bail!("a node sends replies that nobody asked for");
            };
            missing = rest;
            errors += seen.errors;
        }
        Ok(errors)
    }
}

/// Bytes of the longest reply that a command of the plan has, unless it is an error.
fn reply_bytes_max(plan: &Plan) -> usize {
    let gets = plan.flushes.iter().flatten().any(|op| op.verb == Verb::Get);
    32 + if gets { plan.value.len() } else { 0 }
}

/// Refuses bytes for a node that could stop its server from reading.
fn check(bytes: usize, commands: u64, reply_bytes: usize) -> Result<()> {
    let replies = commands as usize * reply_bytes;
    if bytes > UNREAD_BYTES_MAX && replies > UNREAD_BYTES_MAX {
        bail!(
            "this flush is too large to be written before anything is read: {bytes} bytes for a node and as many as {replies} back, \
             of which one must not be more than {UNREAD_BYTES_MAX}"
        );
    }
    Ok(())
}

fn add(sum: Counters, more: Counters) -> Counters {
    Counters {
        writes: sum.writes + more.writes,
        reads: sum.reads + more.reads,
        waits: sum.waits + more.waits,
        // Any read may sleep.
        sleeps: None,
        bytes_written: sum.bytes_written + more.bytes_written,
        bytes_read: sum.bytes_read + more.bytes_read,
        redirects: sum.redirects + more.redirects,
    }
}

fn settings(threads: &str, order: &str) -> Vec<Setting> {
    vec![
        ("threads".into(), threads.into()),
        ("connections per node".into(), "1".into()),
        ("protocol".into(), "RESP2".into()),
        ("transport".into(), "blocking sockets of the standard library".into()),
        ("order".into(), order.into()),
        ("receive buffer".into(), format!("{INBOX_BYTES} bytes per thread")),
        ("replies".into(), "scanned, not kept".into()),
        ("streams".into(), "a flush at a time".into()),
        ("refused".into(), format!("more than {UNREAD_BYTES_MAX} bytes there and back, per node and flush")),
    ]
}

/// In which order one thread goes through the nodes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// Each is written to and read from before the next.
    Sequential,
    /// All are written to before the first is read from.
    Multiplexed,
}

struct OneThread {
    order: Order,
    links: Vec<Link>,
    encoder: Encoder,
    inbox: Box<[u8]>,
    reply_bytes: usize,
}

/// `blocking-sequential`.
pub(super) fn sequential(setup: &Setup, plan: &Plan) -> Result<Box<dyn Contender>> {
    one_thread(setup, plan, Order::Sequential)
}

/// `blocking-multiplexed`.
pub(super) fn multiplexed(setup: &Setup, plan: &Plan) -> Result<Box<dyn Contender>> {
    one_thread(setup, plan, Order::Multiplexed)
}

fn one_thread(setup: &Setup, plan: &Plan, order: Order) -> Result<Box<dyn Contender>> {
    let encoder = Encoder::new(plan, routes(setup)?, setup.nodes.len());
    let (inbox, reply_bytes) = (vec![0; INBOX_BYTES].into(), reply_bytes_max(plan));
    Ok(Box::new(OneThread { order, links: Link::open_all(setup, plan)?, encoder, inbox, reply_bytes }))
}

impl Contender for OneThread {
    fn settings(&self) -> Vec<Setting> {
        let order = match self.order {
            Order::Sequential => "write to a node, read its replies, then the next node",
            Order::Multiplexed => "write to all nodes, then read from all in the same order",
        };
        settings("1", order)
    }

    fn flush(&mut self, plan: &Plan, at: usize) -> Result<u64> {
        self.encoder.encode(plan, &plan.flushes[at]);
        let outboxes = &mut self.encoder.outboxes;
        for outbox in outboxes.iter() {
            check(outbox.bytes().len(), outbox.commands, self.reply_bytes)?;
        }
        let mut errors = 0;
        for (link, outbox) in self.links.iter_mut().zip(outboxes.iter()) {
            link.write(outbox.bytes())?;
            if self.order == Order::Sequential {
                errors += link.read(outbox.commands, &mut self.inbox)?;
            }
        }
        for (link, outbox) in self.links.iter_mut().zip(outboxes) {
            if self.order == Order::Multiplexed {
                errors += link.read(outbox.commands, &mut self.inbox)?;
            }
            outbox.clear();
        }
        Ok(errors)
    }

    fn counters(&self) -> Option<Counters> {
        Some(self.links.iter().fold(Counters::default(), |sum, link| add(sum, link.counters)))
    }
}
