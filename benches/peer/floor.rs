//! The least a client can do: nonblocking sockets to every node, bytes made beforehand, replies counted and not read.

use std::io::{ErrorKind, Read, Result, Write};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use panpipe::command::{Arg, Keys, Request};
use panpipe::slot::slot_of;

use super::rig::Kind;
use super::{KEY_BYTES, VALUE};

const SLOTS: usize = 16384;

/// One flush, made beforehand: for each node its bytes, and how many bytes answer them.
struct Flush {
    bytes: Vec<Vec<u8>>,
    reply_bytes: usize,
}

/// Sockets and flushes.
pub(crate) struct Floor {
    poll: Poll,
    events: Events,
    sockets: Vec<TcpStream>,
    flushes: Vec<Flush>,
    next: usize,
    inbox: Vec<u8>,
    /// Writes, reads and waits so far.
    pub(crate) calls: [u64; 3],
}

impl Floor {
    pub(crate) fn new(ports: &[u16], kind: Kind, keys: &[[u8; KEY_BYTES]], commands: usize) -> Result<Self> {
        let poll = Poll::new()?;
        let mut sockets = Vec::new();
        for (node, &port) in ports.iter().enumerate() {
            let stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut socket = TcpStream::from_std(stream);
            poll.registry().register(&mut socket, Token(node), Interest::READABLE)?;
            sockets.push(socket);
        }
        let flushes = keys.chunks_exact(commands).map(|keys| flush(ports.len(), kind, keys)).collect();
        let inbox = vec![0; 64 << 10];
        Ok(Floor { poll, events: Events::with_capacity(64), sockets, flushes, next: 0, inbox, calls: [0; 3] })
    }

    /// Writes one flush to all nodes and waits for as many bytes as answer it.
    pub(crate) fn round(&mut self) -> Result<()> {
        let flush = &self.flushes[self.next];
        self.next = (self.next + 1) % self.flushes.len();
        for (socket, bytes) in self.sockets.iter_mut().zip(&flush.bytes) {
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                self.calls[0] += 1;
                match socket.write(rest) {
                    Ok(n) => rest = &rest[n..],
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let mut missing = flush.reply_bytes;
        while missing > 0 {
            self.calls[2] += 1;
            self.poll.poll(&mut self.events, None)?;
            for event in &self.events {
                loop {
                    self.calls[1] += 1;
                    match self.sockets[event.token().0].read(&mut self.inbox) {
                        Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                        Ok(n) => {
                            missing -= n;
                            if n < self.inbox.len() {
                                break;
                            }
                        }
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        Ok(())
    }
}

fn flush(nodes: usize, kind: Kind, keys: &[[u8; KEY_BYTES]]) -> Flush {
    let mut bytes = vec![Vec::new(); nodes];
    for key in keys {
        let slot = usize::from(slot_of(key));
        let node = (0..nodes).rfind(|node| SLOTS * node / nodes <= slot).unwrap_or(0);
        let args = [Arg::Bytes(key), Arg::Bytes(VALUE)];
        let args = if kind == Kind::Set { &args[..] } else { &args[..1] };
        Request::new(kind.name(), Keys::FIRST, args).write(&mut bytes[node]);
    }
    let reply_bytes = if kind == Kind::Set { b"+OK\r\n".len() } else { b"$64\r\n\r\n".len() + VALUE.len() };
    Flush { bytes, reply_bytes: reply_bytes * keys.len() }
}
