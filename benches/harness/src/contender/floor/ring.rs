//! Completions through io_uring: one enter sends to all nodes, receives from all nodes, and sleeps until what is needed is there.
//!
//! ```text
//!   flush:  send A  send B  send C  recv A  recv B  recv C   enter(6 submitted, wait for 6)   look at 6 completions
//! ```
//!
//! How many completions to wait for is the whole art. Every send and receive under way has to complete before a flush is complete, so all
//! of them are waited for: one sleep, however many nodes. But a large send may end only after replies were received: as long as one is
//! under way, the next completion of any kind wakes. A node that owes nothing is not received from.
//!
//! The kernel holds buffers while a request is under way, which the compiler does not know. Invariants: a node has at most one send and
//! one receive under way; a receive's buffer is touched by nobody else until it completes; a send's bytes stay where they are until it
//! completes (the promise of [`Wire::unsent`]); and nothing is under way when this value, and after it the wire, is dropped.
#![allow(unsafe_code, reason = "io_uring is told addresses, and believes them")]

use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use io_uring::{IoUring, cqueue, opcode, squeue, types};

use super::{Carrier, Wire, sockets};
use crate::contender::{Counters, Setting, Setup};
use crate::plan::Plan;

/// Of each connection.
const INBOX_BYTES: usize = 64 << 10;
/// Up to this many bytes in a flush, there and back, sockets take everything without anybody reading: a loopback socket has more.
const FITS_BYTES: usize = 1 << 20;
/// What a command has beside its value, there and back.
const COMMAND_BYTES: usize = 128;

pub(super) struct Ring {
    ring: IoUring,
    nodes: Vec<Node>,
    sends: usize,
    receives: usize,
    /// Whether a send cannot depend on a receive, for the size of what this plan sends.
    fits: bool,
    spin: Duration,
    counters: Counters,
}

struct Node {
    socket: TcpStream,
    inbox: Box<[u8]>,
    sending: bool,
    receiving: bool,
}

/// In a request's user data: the node, and which of its two requests it is.
const RECEIVE: u64 = 1 << 32;

impl Carrier for Ring {
    fn new(setup: &Setup, plan: &Plan) -> Result<Ring> {
        let sockets = sockets::connect(setup)?;
        let requests = u32::try_from(2 * sockets.len())?;
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .build(requests.next_power_of_two())
            .context(
                "this kernel refuses io_uring with SINGLE_ISSUER and DEFER_TASKRUN (Linux 6.1 has both)",
            )?;
        // Saves looking the ring up at each enter; older kernels do without.
        let _registered = ring.submitter().register_ring_fd();
        let descriptors: Vec<i32> = sockets.iter().map(|socket| socket.as_raw_fd()).collect();
        ring.submitter().register_files(&descriptors).context("io_uring refuses the sockets")?;
        let nodes = sockets.into_iter().map(|socket| Node {
            socket,
            inbox: vec![0; INBOX_BYTES].into(),
            sending: false,
            receiving: false,
        });
        let longest = plan.flushes.iter().map(Vec::len).max().unwrap_or(0);
        Ok(Ring {
            nodes: nodes.collect(),
            ring,
            sends: 0,
            receives: 0,
            fits: longest * (plan.value.len() + COMMAND_BYTES) <= FITS_BYTES,
            spin: Duration::from_micros(u64::from(setup.spin_us)),
            counters: Counters { sleeps: Some(0), ..Counters::default() },
        })
    }

    fn pump<W: Wire>(&mut self, wire: &mut W, in_flight_max: u64) -> Result<u64> {
        let mut errors = 0;
        loop {
            self.push_sends(wire)?;
            let everything = in_flight_max == 0 && self.sends > 0;
            if wire.in_flight() <= in_flight_max && !everything {
                // What was pushed for a stream leaves with its next wait, which follows.
                return Ok(errors);
            }
            self.push_receives(wire)?;
            let needed = if self.sends > 0 && !self.fits { 1 } else { self.sends + self.receives };
            self.enter(needed)?;
            errors += self.reap(wire)?;
        }
    }

    fn counters(&self) -> Counters {
        self.counters
    }

    fn settings(&self) -> Vec<Setting> {
        let wakes =
            if self.fits { "all completions that are under way" } else { "any completion while sending" };
        vec![
            ("transport".into(), "io_uring: SINGLE_ISSUER, DEFER_TASKRUN, registered files".into()),
            ("an enter waits for".into(), wakes.into()),
            ("receive buffer".into(), format!("{INBOX_BYTES} bytes per node, single-shot")),
            ("spin".into(), format!("{} us", self.spin.as_micros())),
        ]
    }
}

impl Ring {
    fn push_sends<W: Wire>(&mut self, wire: &mut W) -> Result<()> {
        for node in 0..self.nodes.len() {
            if self.nodes[node].sending {
                continue;
            }
            let bytes = wire.unsent(node);
            if bytes.is_empty() {
                continue;
            }
            let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            // The kernel goes on by itself where the socket is full, until all has left.
            let send = opcode::Send::new(types::Fixed(node as u32), bytes.as_ptr(), len)
                .flags(libc_flags::WAITALL | libc_flags::NOSIGNAL)
                .build()
                .user_data(node as u64);
            // SAFETY: `bytes` stays where it is until `Wire::sent`, which is called when this request has completed; `sending` keeps
            // `Wire::unsent` from being asked until then; `Drop` waits for the request before the wire is dropped.
            unsafe { self.push(&send)? };
            self.nodes[node].sending = true;
            self.sends += 1;
        }
        Ok(())
    }

    fn push_receives<W: Wire>(&mut self, wire: &W) -> Result<()> {
        for node in 0..self.nodes.len() {
            let Node { inbox, receiving, .. } = &mut self.nodes[node];
            if *receiving || !wire.owes(node) {
                continue;
            }
            let receive =
                opcode::Recv::new(types::Fixed(node as u32), inbox.as_mut_ptr(), inbox.len() as u32)
                    .build()
                    .user_data(node as u64 | RECEIVE);
            // SAFETY: the buffer is on the heap and its box is never replaced; while `receiving` is set nobody reads or writes it;
            // `Drop` waits for the request before the box is dropped.
            unsafe { self.push(&receive)? };
            self.nodes[node].receiving = true;
            self.receives += 1;
        }
        Ok(())
    }

    /// # Safety
    /// The buffer of the request must be valid, and left alone, until its completion is reaped.
    unsafe fn push(&mut self, request: &squeue::Entry) -> Result<()> {
        // SAFETY: the caller's promise is the one that is asked for.
        let pushed = unsafe { self.ring.submission().push(request) };
        pushed.context("the submission queue is too short for two requests per node")
    }

    /// Submits, and waits until so many completions are there: awake for a while, then asleep.
    fn enter(&mut self, needed: usize) -> Result<()> {
        if !self.spin.is_zero() {
            self.call(0)?;
            let end = Instant::now() + self.spin;
            while self.ring.completion().len() < needed && Instant::now() < end {
                // Completions are put into the queue by this thread; the kernel sets a flag where it has some to put there.
                if self.ring.submission().taskrun() {
                    self.call(0)?;
                }
                std::hint::spin_loop();
            }
            if self.ring.completion().len() >= needed {
                return Ok(());
            }
        }
        self.counters.sleeps = self.counters.sleeps.map(|sleeps| sleeps + 1);
        self.call(needed)
    }

    fn call(&mut self, needed: usize) -> Result<()> {
        self.counters.waits += 1;
        match self.ring.submit_and_wait(needed) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error).context("io_uring refuses requests"),
            Ok(_) => Ok(()),
        }
    }

    /// Looks at the completions that are there. After an error the others stay in the queue, for `Drop`.
    fn reap<W: Wire>(&mut self, wire: &mut W) -> Result<u64> {
        let mut errors = 0;
        let Ring { ring, nodes, sends, receives, counters, .. } = self;
        for completion in ring.completion() {
            let (node, received) = settle(&completion, nodes, sends, receives);
            match usize::try_from(completion.result()) {
                Ok(0) => bail!("the server closed the connection"),
                Ok(bytes) if received => {
                    counters.bytes_read += bytes as u64;
                    errors += wire.received(node, &nodes[node].inbox[..bytes])?;
                }
                Ok(bytes) => {
                    counters.bytes_written += bytes as u64;
                    wire.sent(node, bytes);
                }
                Err(_) => {
                    let error = std::io::Error::from_raw_os_error(-completion.result());
                    return Err(error).context("a connection broke");
                }
            }
        }
        Ok(errors)
    }
}

/// Notes that a request is no longer under way. Answers its node, and whether it was a receive.
fn settle(
    completion: &cqueue::Entry,
    nodes: &mut [Node],
    sends: &mut usize,
    receives: &mut usize,
) -> (usize, bool) {
    let data = completion.user_data();
    let node = (data & !RECEIVE) as usize;
    let received = data & RECEIVE != 0;
    match received {
        true => (nodes[node].receiving, *receives) = (false, *receives - 1),
        false => (nodes[node].sending, *sends) = (false, *sends - 1),
    }
    (node, received)
}

impl Drop for Ring {
    /// Ends what is under way: a kernel that was left alone with it would write into memory that belongs to somebody else.
    fn drop(&mut self) {
        for node in &self.nodes {
            // One that is gone already has no requests that wait.
            let _gone = node.socket.shutdown(Shutdown::Both);
        }
        while self.sends + self.receives > 0 {
            if self.call(1).is_err() {
                // Nothing else is safe, and it happens nowhere.
                std::process::abort();
            }
            for completion in self.ring.completion() {
                settle(&completion, &mut self.nodes, &mut self.sends, &mut self.receives);
            }
        }
    }
}

/// Flags of send(2), by their values in Linux.
mod libc_flags {
    pub(super) const WAITALL: i32 = 0x100;
    pub(super) const NOSIGNAL: i32 = 0x4000;
}
