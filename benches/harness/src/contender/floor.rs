//! The least a client can do: nonblocking sockets to every node, bytes made beforehand, replies counted by their
//! line ends and not read.

use std::io::{ErrorKind, Read as _, Write as _};

use anyhow::{Result, bail};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use panpipe::slot::{SLOT_COUNT, slot_of};

use super::{Contender, Counters, Setting, Setup};
use crate::plan::{EXPIRE_S, INCREMENT, Op, Plan, Verb};

/// One flush, made beforehand: for each node its bytes, and how many lines answer them all.
struct Prepared {
    bytes: Vec<Vec<u8>>,
    lines: usize,
}

struct Floor {
    poll: Poll,
    events: Events,
    sockets: Vec<TcpStream>,
    flushes: Vec<Prepared>,
    inbox: Vec<u8>,
    counters: Counters,
}

const INBOX_BYTES: usize = 64 << 10;
const EVENTS_MAX: usize = 1024;

/// Connects and prepares all flushes of the plan.
pub(crate) fn start(setup: &Setup, plan: &Plan) -> Result<Box<dyn Contender>> {
    let poll = Poll::new()?;
    let mut sockets = Vec::new();
    for (node, address) in setup.nodes.iter().enumerate() {
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut socket = TcpStream::from_std(stream);
        poll.registry().register(&mut socket, Token(node), Interest::READABLE)?;
        sockets.push(socket);
    }
    let flushes = plan.flushes.iter().map(|ops| prepare(plan, ops, setup.nodes.len())).collect();
    let events = Events::with_capacity(EVENTS_MAX);
    Ok(Box::new(Floor {
        poll,
        events,
        sockets,
        flushes,
        inbox: vec![0; INBOX_BYTES],
        counters: Counters::default(),
    }))
}

/// The node that owns a key, where slots are shared out evenly and in order.
pub(crate) fn owner(key: &[u8], nodes: usize) -> usize {
    usize::from(slot_of(key)) * nodes / usize::from(SLOT_COUNT)
}

fn prepare(plan: &Plan, ops: &[Op], nodes: usize) -> Prepared {
    let mut prepared = Prepared { bytes: vec![Vec::new(); nodes], lines: 0 };
    for &op in ops {
        let key = plan.key(op);
        // A value is a line for its length and one for itself; values hold no line ends.
        prepared.lines += if op.verb == Verb::Get { 2 } else { 1 };
        encode(plan, op, &mut prepared.bytes[owner(key, nodes)]);
    }
    prepared
}

fn encode(plan: &Plan, op: Op, out: &mut Vec<u8>) {
    let number = |number: i64| number.to_string().into_bytes();
    let last = match op.verb {
        Verb::Set => Some(plan.value.clone()),
        Verb::Get => None,
        Verb::IncrBy => Some(number(INCREMENT)),
        Verb::Expire => Some(number(EXPIRE_S)),
    };
    let parts = [Some(op.verb.name().as_bytes()), Some(plan.key(op).as_slice()), last.as_deref()];
    out.extend(format!("*{}\r\n", parts.iter().flatten().count()).into_bytes());
    for part in parts.into_iter().flatten() {
        out.extend(format!("${}\r\n", part.len()).into_bytes());
        out.extend(part);
        out.extend(b"\r\n");
    }
}

impl Contender for Floor {
    fn settings(&self) -> Vec<Setting> {
        vec![
            ("threads".into(), "1".into()),
            ("connections per node".into(), "1".into()),
            ("receive buffer".into(), format!("{INBOX_BYTES} bytes, shared")),
        ]
    }

    fn flush(&mut self, _plan: &Plan, at: usize) -> Result<u64> {
        let flush = &self.flushes[at];
        for (socket, bytes) in self.sockets.iter_mut().zip(&flush.bytes) {
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                self.counters.writes += 1;
                match socket.write(rest) {
                    Ok(n) => rest = &rest[n..],
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error.into()),
                }
            }
            self.counters.bytes_written += bytes.len() as u64;
        }
        let mut missing = flush.lines;
        while missing > 0 {
            self.counters.waits += 1;
            self.poll.poll(&mut self.events, None)?;
            for event in &self.events {
                loop {
                    self.counters.reads += 1;
                    match self.sockets[event.token().0].read(&mut self.inbox) {
                        Ok(0) => bail!("the server closed the connection"),
                        Ok(n) => {
                            let lines = self.inbox[..n].iter().filter(|&&byte| byte == b'\n').count();
                            missing = missing.saturating_sub(lines);
                            if n < self.inbox.len() {
                                break;
                            }
                        }
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
        Ok(0)
    }

    fn counters(&self) -> Option<Counters> {
        Some(self.counters)
    }
}
