//! What is under way with each node, and what a completion says about it.
//!
//! Invariant: `sends` is how many completions of sends will come for certain, `receives` how many receives the kernel has.

use io_uring::{cqueue, types};

/// In a request's user data: the node, and which of its two requests it is.
pub(super) const RECEIVE: u64 = 1 << 32;

/// Not an error: a receive found no buffer free.
const ENOBUFS: i32 = -105;

pub(super) struct Node {
    /// Its socket's number among the registered ones, or its descriptor.
    pub(super) name: types::Fd,
    /// Empty where buffers are those of all nodes.
    pub(super) inbox: Box<[u8]>,
    pub(super) sending: Sending,
    pub(super) receiving: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sending {
    Nothing,
    /// A completion will say that it is over.
    Plain,
    /// Two completions.
    ZeroCopy,
    /// So many bytes have left, but the kernel still needs the buffer.
    Held {
        bytes: usize,
    },
    /// Only a failure would be told. When all replies are there, these bytes have left.
    Silent {
        bytes: usize,
    },
}

/// Requests under way, of all nodes.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    pub(super) sends: usize,
    /// Sends without a completion.
    pub(super) silent: usize,
    pub(super) receives: usize,
}

/// What a completion says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// So many bytes, in the node's own buffer or from this one on.
    Received {
        bytes: usize,
        buffer: Option<u16>,
    },
    /// So many bytes have left, and their buffer is free.
    Sent {
        bytes: usize,
    },
    /// Nothing that anybody would have to act on.
    Nothing,
    Broken {
        errno: i32,
    },
}

impl UnderWay {
    /// Notes what is no longer under way. Answers the node, and what is new about it.
    pub(super) fn settle(&mut self, completion: &cqueue::Entry, nodes: &mut [Node]) -> (usize, News) {
        let at = (completion.user_data() & !RECEIVE) as usize;
        let (node, result, flags) = (&mut nodes[at], completion.result(), completion.flags());
        let news = if completion.user_data() & RECEIVE != 0 {
            if !cqueue::more(flags) {
                node.receiving = false;
                self.receives -= 1;
            }
            match usize::try_from(result) {
                Ok(bytes) => News::Received { bytes, buffer: cqueue::buffer_select(flags) },
                Err(_) if result == ENOBUFS => News::Nothing,
                Err(_) => News::Broken { errno: -result },
            }
        } else {
            self.settle_send(node, result, flags)
        };
        (at, news)
    }

    fn settle_send(&mut self, node: &mut Node, result: i32, flags: u32) -> News {
        let (bytes, failed) = (usize::try_from(result).unwrap_or(0), News::Broken { errno: -result });
        match node.sending {
            Sending::ZeroCopy if cqueue::more(flags) => {
                self.sends -= 1;
                node.sending = Sending::Held { bytes };
                return if result < 0 { failed } else { News::Nothing };
            }
            Sending::Held { bytes } => {
                self.sends -= 1;
                node.sending = Sending::Nothing;
                return News::Sent { bytes };
            }
            // It was refused before it began: there is no second completion.
            Sending::ZeroCopy => self.sends -= 2,
            Sending::Plain => self.sends -= 1,
            Sending::Silent { .. } => self.silent -= 1,
            Sending::Nothing => {}
        }
        node.sending = Sending::Nothing;
        if result < 0 { failed } else { News::Sent { bytes } }
    }
}
