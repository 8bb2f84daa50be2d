//! One socket with its requests, and the memory that they name.
//!
//! Invariant: while `sending`, `pieces` and `message` stay as they are; while `room` holds a buffer, a receive into it is under way. Whoever
//! makes a request of what this module builds keeps to that until the request has completed ([`Ring`](super::ring::Ring) does).
#![allow(unsafe_code, reason = "a list of pieces as the kernel reads it is made of addresses")]

use std::io;
use std::os::fd::AsRawFd;

use bytes::{Buf, Bytes};
use io_uring::{opcode, squeue, types};
use socket2::Socket;

use crate::engine::RecvBuf;

/// Most pieces of one send.
pub(super) const PIECES_MAX: usize = 16;

/// One socket and its requests.
pub(super) struct Lane {
    pub(super) socket: Socket,
    /// What completions carry.
    pub(super) tag: u64,
    /// The send's bytes; nothing where none is under way.
    pub(super) pieces: Vec<Bytes>,
    pub(super) sending: bool,
    /// A send that did not fit ends only when all has left: the kernel waits for room by itself.
    sends_whole: bool,
    message: Option<Box<Message>>,
    /// The receive's buffer.
    pub(super) room: Option<RecvBuf>,
    pub(super) watching: bool,
    /// Nobody is told of its completions any more.
    pub(super) closing: bool,
}

/// The list of a send's pieces as the kernel reads it.
struct Message {
    header: libc::msghdr,
    list: [libc::iovec; PIECES_MAX],
}

// SAFETY: only the kernel follows the pointers; they lead to memory that the same lane holds, and that stays where it is when the lane moves.
unsafe impl Send for Message {}
// SAFETY: as above; nothing is done through a shared reference.
unsafe impl Sync for Message {}

impl Lane {
    pub(super) fn new(socket: Socket, tag: u64, sends_whole: bool) -> Self {
        Lane {
            socket,
            tag,
            pieces: Vec::new(),
            sending: false,
            sends_whole,
            message: None,
            room: None,
            watching: false,
            closing: false,
        }
    }

    /// Nothing of it is under way.
    pub(super) fn is_idle(&self) -> bool {
        !self.sending && self.room.is_none() && !self.watching
    }

    /// Closes the socket and never frees what a request may still name.
    pub(super) fn leak(self) {
        std::mem::forget((self.pieces, self.message, self.room));
    }

    /// A receive into the room of this buffer.
    pub(super) fn receive_request(&mut self, room: RecvBuf) -> squeue::Entry {
        let spare = self.room.insert(room).spare_mut();
        let len = u32::try_from(spare.len()).unwrap_or(u32::MAX);
        opcode::Recv::new(types::Fd(self.socket.as_raw_fd()), spare.as_mut_ptr(), len).build()
    }

    /// One piece is sent as it is, several through a list.
    pub(super) fn send_request(&mut self) -> squeue::Entry {
        let flags = libc::MSG_NOSIGNAL | if self.sends_whole { libc::MSG_WAITALL } else { 0 };
        let fd = types::Fd(self.socket.as_raw_fd());
        if let [piece] = self.pieces.as_slice() {
            let len = u32::try_from(piece.len()).unwrap_or(u32::MAX);
            return opcode::Send::new(fd, piece.as_ptr(), len).flags(flags).build();
        }
        let message = self.message.get_or_insert_with(Message::empty);
        for (entry, piece) in message.list.iter_mut().zip(&self.pieces) {
            *entry = libc::iovec { iov_base: piece.as_ptr().cast_mut().cast(), iov_len: piece.len() };
        }
        message.header.msg_iov = message.list.as_mut_ptr();
        message.header.msg_iovlen = self.pieces.len().min(PIECES_MAX);
        opcode::SendMsg::new(fd, &raw const message.header).flags(flags as u32).build()
    }

    /// Drops the bytes that were taken; a request that fails after it has sent some tells how many, not the failure.
    pub(super) fn take_sent(&mut self, result: io::Result<usize>) -> io::Result<()> {
        let mut taken = match result {
            Ok(n) => n,
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN)) => 0,
            Err(error) => return Err(error),
        };
        let mut whole = 0;
        for piece in &mut self.pieces {
            let n = taken.min(piece.len());
            piece.advance(n);
            taken -= n;
            if !piece.is_empty() {
                break;
            }
            whole += 1;
        }
        self.pieces.drain(..whole);
        Ok(())
    }
}

impl Message {
    fn empty() -> Box<Self> {
        // SAFETY: both are plain data, for which zeroes are valid: no pointers, no lengths.
        unsafe { Box::new(std::mem::zeroed()) }
    }
}
