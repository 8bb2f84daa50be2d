//! What the ring is asked for, by the choices of its variant.

use io_uring::{opcode, squeue, types};

use super::buffers::GROUP;
use super::node::{Node, RECEIVE};
use super::variant::{Receive, Send, Variant};

/// Flags of send(2), by their values in Linux.
const WAITALL: i32 = 0x100;
const NOSIGNAL: i32 = 0x4000;
/// Of `ioprio` in a receive: IORING_RECVSEND_POLL_FIRST.
const POLL_FIRST: u16 = 1;

/// Sends the bytes; the kernel goes on by itself where the socket is full, until all has left.
pub(super) fn send(variant: Variant, kind: Send, node: &Node, at: usize, bytes: &[u8]) -> squeue::Entry {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let flags = WAITALL | NOSIGNAL;
    let request = match kind {
        Send::Plain | Send::Silent => opcode::Send::new(node.name, bytes.as_ptr(), len).flags(flags).build(),
        Send::ZeroCopy => opcode::SendZc::new(node.name, bytes.as_ptr(), len).flags(flags).build(),
    };
    let mut all = of_name(variant);
    all.set(squeue::Flags::SKIP_SUCCESS, kind == Send::Silent);
    request.flags(all).user_data(at as u64)
}

/// Receives what is there, once or for good.
pub(super) fn receive(variant: Variant, node: &mut Node, at: usize) -> squeue::Entry {
    let (name, len) = (node.name, node.inbox.len() as u32);
    let mut once = |ioprio| opcode::Recv::new(name, node.inbox.as_mut_ptr(), len).ioprio(ioprio).build();
    let request = match variant.receive {
        Receive::Single => once(0),
        Receive::PollFirst => once(POLL_FIRST),
        Receive::Multishot => opcode::RecvMulti::new(name, GROUP).build(),
        Receive::Bundle => opcode::RecvBundle::new(name, GROUP).build(),
        Receive::MultishotBundle => opcode::RecvMultiBundle::new(name, GROUP).build(),
    };
    request.flags(of_name(variant)).user_data(at as u64 | RECEIVE)
}

/// How the kernel is to understand a node's name.
fn of_name(variant: Variant) -> squeue::Flags {
    match variant.files_registered {
        true => squeue::Flags::FIXED_FILE,
        false => squeue::Flags::empty(),
    }
}

/// Names of sockets, in their order.
pub(super) fn name(variant: Variant, at: usize, descriptor: i32) -> types::Fd {
    types::Fd(if variant.files_registered { at as i32 } else { descriptor })
}
