//! Completions through io_uring: one enter sends to all nodes, receives from all nodes, and sleeps until what is needed is there.
//!
//! ```text
//!   flush:  send A  send B  send C  recv A  recv B  recv C   enter(6 submitted, wait for 6)   look at 6 completions
//! ```
//!
//! How many completions to wait for is the whole art. Every send and receive under way has to complete before a flush is complete, so all
//! of them are waited for: one sleep, however many nodes. But a large send may end only after replies were received: as long as one is
//! under way, the next completion of any kind wakes. A node that owes nothing is not received from, or not waited for.
//!
//! What else could be done is a [`Variant`]: the usual one is the yardstick, the others are measured against it.
//!
//! The kernel holds buffers while a request is under way, which the compiler does not know. Invariants: a node has at most one send and
//! one receive under way; a receive's buffer is touched by nobody else until it completes; a send's bytes stay where they are until it
//! completes (the promise of [`Wire::unsent`]); and nothing is under way when this value, and after it the wire, is dropped.
#![allow(unsafe_code, reason = "io_uring is told addresses, and believes them")]

use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use io_uring::{squeue, types};
use socket2::SockRef;

use super::{Carrier, Wire, sockets};
use crate::contender::{Counters, Setting, Setup};
use crate::plan::Plan;

mod buffers;
mod handle;
mod node;
mod requests;
mod variant;

pub(in crate::contender) use variant::{CHOICES, Variant};

use buffers::Buffers;
use handle::Handle;
use node::{News, Node, Sending, UnderWay};
use variant::{Receive, Send, Wait};

/// Of each connection, or of each buffer that a multishot receive may take.
const INBOX_BYTES: usize = 64 << 10;
/// Of each buffer that a bundle is made of.
const BUNDLED_BYTES: usize = 4 << 10;
/// Provided buffers have this much memory in all, or more where there are many nodes.
const PROVIDED_BYTES: usize = 1 << 20;
/// Up to this many bytes in a flush, there and back, sockets take everything without anybody reading: a loopback socket has more.
const FITS_BYTES: usize = 1 << 20;
/// What a command has beside its value, there and back.
const COMMAND_BYTES: usize = 128;

pub(super) struct Ring {
    handle: Handle,
    variant: Variant,
    sockets: Vec<TcpStream>,
    nodes: Vec<Node>,
    under_way: UnderWay,
    /// Where receives do not have buffers of their own.
    buffers: Option<Buffers>,
    /// Whether a send cannot depend on a receive, for the size of what this plan sends.
    fits: bool,
    spin: Duration,
    counters: Counters,
}

impl Carrier for Ring {
    type Choice = Variant;

    fn new(setup: &Setup, plan: &Plan, variant: Variant) -> Result<Ring> {
        let sockets = sockets::connect(setup)?;
        let (count, bytes) = provided(variant, sockets.len());
        let requests = u32::try_from(2 * sockets.len())?.next_power_of_two();
        let handle = Handle::new(variant, requests, 2 * requests + u32::from(count))?;
        let descriptors: Vec<i32> = sockets.iter().map(|socket| socket.as_raw_fd()).collect();
        if variant.files_registered {
            handle.submitter().register_files(&descriptors).context("io_uring refuses the sockets")?;
        }
        let buffers =
            if count > 0 { Some(Buffers::register(handle.submitter(), count, bytes)?) } else { None };
        let inbox_bytes = if count > 0 { 0 } else { INBOX_BYTES };
        let nodes = descriptors.into_iter().enumerate().map(|(at, descriptor)| Node {
            name: requests::name(variant, at, descriptor),
            inbox: vec![0; inbox_bytes].into(),
            sending: Sending::Nothing,
            receiving: false,
        });
        let longest = plan.flushes.iter().map(Vec::len).max().unwrap_or(0);
        Ok(Ring {
            nodes: nodes.collect(),
            sockets,
            handle,
            variant,
            under_way: UnderWay::default(),
            buffers,
            fits: longest * (plan.value.len() + COMMAND_BYTES) <= FITS_BYTES,
            spin: Duration::from_micros(u64::from(setup.spin_us)),
            counters: Counters::default(),
        })
    }

    fn pump<W: Wire>(&mut self, wire: &mut W, in_flight_max: u64) -> Result<u64> {
        let mut errors = 0;
        loop {
            self.push_sends(wire, in_flight_max)?;
            let everything = in_flight_max == 0 && self.under_way.sends > 0;
            if wire.in_flight() <= in_flight_max && !everything {
                // What was pushed for a stream leaves with its next wait, which follows.
                return Ok(errors);
            }
            let owing = self.push_receives(wire)?;
            let UnderWay { sends, silent, .. } = self.under_way;
            self.enter(match self.variant.wait {
                Wait::First => 1,
                _ if sends + silent > 0 && !self.fits => 1,
                _ => sends + owing,
            })?;
            errors += self.reap(wire)?;
        }
    }

    fn counters(&self) -> Counters {
        self.counters
    }

    fn settings(&self) -> Vec<Setting> {
        let wakes = match (self.variant.wait, self.fits) {
            (Wait::First, _) => "any completion".to_owned(),
            (Wait::AllWithin { us }, true) => {
                format!("all completions that are needed, after {us} us for any")
            }
            (_, true) => "all completions that are needed".to_owned(),
            (_, false) => "any completion while sending".to_owned(),
        };
        let inboxes = match &self.buffers {
            Some(buffers) => format!("{} of {} bytes for all nodes", buffers.count(), buffers.bytes_each()),
            None => format!("{INBOX_BYTES} bytes per node"),
        };
        let variant = self.variant.settings().into_iter().map(|(name, value)| (name.into(), value));
        let mut settings: Vec<Setting> = variant.collect();
        settings.push(("an enter waits for".into(), wakes));
        settings.push(("receive buffers".into(), inboxes));
        settings.push(("spin".into(), format!("{} us", self.spin.as_micros())));
        settings
    }
}

/// How many buffers of how many bytes the nodes' receives share.
fn provided(variant: Variant, nodes: usize) -> (u16, usize) {
    let bytes = match variant.receive {
        Receive::Single | Receive::PollFirst => return (0, 0),
        Receive::Multishot => INBOX_BYTES,
        Receive::Bundle | Receive::MultishotBundle => BUNDLED_BYTES,
    };
    let count = (PROVIDED_BYTES.max(2 * nodes * INBOX_BYTES) / bytes).next_power_of_two();
    (u16::try_from(count).unwrap_or(1 << 15), bytes)
}

impl Ring {
    fn push_sends<W: Wire>(&mut self, wire: &mut W, in_flight_max: u64) -> Result<()> {
        for at in 0..self.nodes.len() {
            if self.nodes[at].sending != Sending::Nothing {
                continue;
            }
            // Replies tell that a send is over when they are those to all that the node will get.
            let last = in_flight_max == 0 && wire.unsent_is_all(at);
            let bytes = wire.unsent(at);
            if bytes.is_empty() {
                continue;
            }
            let kind =
                if self.variant.send == Send::Silent && !last { Send::Plain } else { self.variant.send };
            // A send that may depend on a receive must not hold it back.
            let linked = self.variant.linked && self.fits && !self.nodes[at].receiving;
            let mut send = requests::send(self.variant, kind, &self.nodes[at], at, bytes);
            if linked {
                send = send.flags(squeue::Flags::IO_LINK);
            }
            let bytes = bytes.len();
            // SAFETY: the bytes stay where they are until `Wire::sent`, which is called when this request is over; `sending` keeps
            // `Wire::unsent` from being asked until then; `Drop` waits for the request before the wire is dropped.
            unsafe { self.handle.push(&send)? };
            let (sending, completions) = match kind {
                Send::Plain => (Sending::Plain, 1),
                Send::ZeroCopy => (Sending::ZeroCopy, 2),
                Send::Silent => (Sending::Silent { bytes }, 0),
            };
            self.nodes[at].sending = sending;
            self.under_way.sends += completions;
            self.under_way.silent += usize::from(kind == Send::Silent);
            if linked {
                self.push_receive(at)?;
            }
        }
        Ok(())
    }

    /// Answers how many nodes owe replies: that many completions of receives will come.
    fn push_receives<W: Wire>(&mut self, wire: &W) -> Result<usize> {
        let mut owing = 0;
        for at in 0..self.nodes.len() {
            if !wire.owes(at) {
                continue;
            }
            owing += 1;
            if !self.nodes[at].receiving {
                self.push_receive(at)?;
            }
        }
        Ok(owing)
    }

    fn push_receive(&mut self, at: usize) -> Result<()> {
        let receive = requests::receive(self.variant, &mut self.nodes[at], at);
        // SAFETY: the node's buffer is on the heap and its box is never replaced; while `receiving` is set nobody reads or writes it;
        // `Drop` waits for the request before the box is dropped. Where the buffers are those of all nodes, `Buffers` lets nobody else
        // have one that the kernel may take, and is dropped after this value's `Drop` too.
        unsafe { self.handle.push(&receive)? };
        self.nodes[at].receiving = true;
        self.under_way.receives += 1;
        Ok(())
    }

    /// Submits, and waits until so many completions are there: awake for a while, then asleep.
    fn enter(&mut self, needed: usize) -> Result<()> {
        if !self.spin.is_zero() {
            self.call(0)?;
            let end = Instant::now() + self.spin;
            while self.handle.completions().len() < needed && Instant::now() < end {
                // Completions are put into the queue by this thread; the kernel sets a flag where it has some to put there.
                if self.handle.taskrun() {
                    self.call(0)?;
                }
                std::hint::spin_loop();
            }
            if self.handle.completions().len() >= needed {
                return Ok(());
            }
        }
        self.call(needed)
    }

    fn call(&mut self, needed: usize) -> Result<()> {
        self.counters.waits += 1;
        let within_us = match self.variant.wait {
            // One is any one.
            Wait::AllWithin { us } if needed > 1 => Some(us),
            _ => None,
        };
        match self.handle.enter(needed, within_us) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error).context("io_uring refuses requests"),
            Ok(_) => Ok(()),
        }
    }

    /// Looks at the completions that are there. After an error the others stay in the queue, for `Drop`.
    fn reap<W: Wire>(&mut self, wire: &mut W) -> Result<u64> {
        let mut errors = 0;
        let Ring { handle, nodes, under_way, buffers, counters, .. } = self;
        for completion in handle.completions() {
            let (at, news) = under_way.settle(&completion, nodes);
            match news {
                News::Received { bytes: 0, .. } => bail!("the server closed the connection"),
                News::Received { bytes, buffer } => {
                    counters.bytes_read += bytes as u64;
                    match (&mut *buffers, buffer) {
                        (Some(buffers), Some(first)) => buffers.take(first, bytes, |some| {
                            errors += wire.received(at, some)?;
                            Ok(())
                        })?,
                        _ => errors += wire.received(at, &nodes[at].inbox[..bytes])?,
                    }
                    if let Sending::Silent { bytes } = nodes[at].sending
                        && !wire.owes(at)
                    {
                        under_way.silent -= 1;
                        nodes[at].sending = Sending::Nothing;
                        counters.bytes_written += bytes as u64;
                        wire.sent(at, bytes);
                    }
                }
                News::Sent { bytes } => {
                    counters.bytes_written += bytes as u64;
                    wire.sent(at, bytes);
                }
                News::Nothing => {}
                News::Broken { errno } => {
                    return Err(std::io::Error::from_raw_os_error(errno)).context("a connection broke");
                }
            }
        }
        if let Some(buffers) = buffers {
            buffers.publish();
        }
        Ok(errors)
    }

    /// Ends all requests, and waits until the kernel holds no buffer any more.
    fn end(&mut self) -> Result<()> {
        for socket in &self.sockets {
            // One that is gone already has no requests that wait.
            let _gone = socket.shutdown(Shutdown::Both);
            let _gone = SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
        let held = |node: &&Node| matches!(node.sending, Sending::Held { .. });
        while self.under_way.sends - self.nodes.iter().filter(held).count() + self.under_way.receives > 0 {
            self.call(1)?;
            self.settle();
        }
        // Sends without a completion cannot be counted; but the kernel comes back when no request is left to cancel.
        if self.under_way.silent > 0 {
            match self.handle.submitter().register_sync_cancel(None, types::CancelBuilder::any()) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => self.call(0)?,
            }
            self.settle();
        }
        // What was sent from our buffers stays with a socket until the other side has read it, or nobody has the socket any more.
        if self.variant.files_registered {
            self.handle.submitter().unregister_files()?;
        }
        self.sockets.clear();
        while self.under_way.sends > 0 {
            self.call(1)?;
            self.settle();
        }
        Ok(())
    }

    fn settle(&mut self) {
        for completion in self.handle.completions() {
            self.under_way.settle(&completion, &mut self.nodes);
        }
    }
}

impl Drop for Ring {
    /// Ends what is under way: a kernel that was left alone with it would write into memory that belongs to somebody else.
    fn drop(&mut self) {
        if self.end().is_err() {
            // Nothing else is safe, and it happens nowhere.
            std::process::abort();
        }
        if let Some(buffers) = &self.buffers {
            buffers.unregister(self.handle.submitter());
        }
    }
}
