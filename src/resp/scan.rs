//! Finding the end of a reply in bytes that arrive in pieces, and proving that it is well formed.
//!
//! ```text
//! bytes:   *2\r\n  $3\r\nfoo\r\n  $100\r\nabc…            fed again, from the same first byte, when more came
//!                                ^ position    ^ what is known of the element there (its payload's end, or how
//!                                                far its line was searched) survives between calls
//! nesting: [1 value missing]                     one small record per open aggregate
//! ```
//!
//! A reply is judged once: after [`Scan::Complete`] the bytes `[0, len)` follow the [protocol specification]
//! (and [RESP3]) and keep the [`FrameLimits`], so that [`ReplyRef`](super::ReplyRef) reads them without
//! checking again. `n` pieces cost O(bytes + n): nothing before `position` is looked at twice.
//!
//! Decisions where the specification is silent or servers differ:
//! a carriage return must be followed by a line feed, a line feed of its own is text; lengths have one spelling
//! (no sign, no leading zero), integers may carry a `+` and zeros; `inf` and `nan` in any case; streamed strings
//! and aggregates (`$?`, `*?`, `;`, `.`) are refused, no server sends them; a push inside another reply is
//! refused: it belongs between replies.
//!
//! Knows bytes and limits; refuses to know what a reply answers. Invariant: nothing is allocated but the nesting
//! records beyond the first eight, and of those at most `depth_max`; after an error every call answers the same error.
//!
//! [protocol specification]: https://redis.io/docs/latest/develop/reference/protocol-spec/
//! [RESP3]: https://github.com/antirez/RESP3/blob/master/spec.md
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::header;
use crate::config::FrameLimits;
use crate::error::ProtocolError;
use progress::Progress;

mod progress;

/// What a scan found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    /// The bytes begin with a whole reply. The scanner is ready for the one behind it.
    Complete(Frame),
    /// The reply goes on.
    Incomplete {
        /// At least this many more bytes must come before a call can find anything new; never 0. Within a bulk
        /// string this is the rest of it, as its header declares: never reserve that much before it has come.
        bytes_wanted: usize,
    },
}

/// A whole reply at the start of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Its size in bytes.
    pub len: usize,
    /// How many of them are attributes in front of the reply.
    pub attribute_len: usize,
    /// Whether it answers a command.
    pub kind: FrameKind,
}

/// Whether a frame answers a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// The reply to the oldest unanswered command.
    Reply,
    /// Out-of-band data (RESP3 `>`): answers nothing.
    Push,
}

/// Finds the end of each reply of one connection.
///
/// Call [`scan`](Scanner::scan) with all bytes from the reply's first one on, again with more after
/// [`Scan::Incomplete`], and with the bytes behind it after [`Scan::Complete`].
#[derive(Debug)]
pub struct Scanner {
    bounds: Bounds,
    /// Nothing is known of the current reply: set at its start, cleared by its first fruitless scan.
    fresh: bool,
    progress: Progress,
    failed: Option<Box<ProtocolError>>,
}

/// The limits as sizes of this machine.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    limits: FrameLimits,
    depth: usize,
    line: usize,
    bulk: usize,
    reply: usize,
    attribute: usize,
    /// Whether `+OK` keeps the limits.
    takes_ok: bool,
}

/// The reply to most writes.
pub(crate) const OK_FRAME: &[u8] = b"+OK\r\n";

const DEPTH_CEILING: usize = 1024;
/// A line longer than this is not worth the search of the short cut.
const SHORT_LINE: usize = 64;

impl Scan {
    /// Of no bytes at all.
    pub(crate) const NOTHING: Scan = Scan::Incomplete { bytes_wanted: 0 };
}

impl Scanner {
    /// A scanner at the start of a reply.
    pub fn new(limits: FrameLimits) -> Self {
        let size = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        let bounds = Bounds {
            limits,
            depth: limits.depth_max.min(DEPTH_CEILING),
            line: limits.line_bytes_max,
            bulk: size(limits.bulk_bytes_max),
            reply: size(limits.reply_bytes_max),
            attribute: size(limits.attribute_bytes_max),
            takes_ok: limits.line_bytes_max >= 2 && limits.reply_bytes_max >= OK_FRAME.len() as u64,
        };
        Scanner { bounds, fresh: true, progress: Progress::default(), failed: None }
    }

    /// Looks for the end of the reply that `bytes` begins with.
    ///
    /// # Errors
    ///
    /// The bytes break the protocol or a limit. There is no way to find the next reply behind them: every later
    /// call answers the same error, and the connection is good for nothing but closing.
    #[inline]
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Scan, ProtocolError> {
        match self.scan_scalar(bytes) {
            Some(len) => Ok(Scan::Complete(Frame { len, attribute_len: 0, kind: FrameKind::Reply })),
            None => self.scan_on(bytes),
        }
    }

    /// The size of a reply of the commonest forms, where `bytes` begin with a whole one. `None` says nothing: [`Scanner::scan`] decides.
    #[inline(always)]
    pub(crate) fn scan_scalar(&self, bytes: &[u8]) -> Option<usize> {
        if !self.fresh {
            None
        } else if self.bounds.takes_ok && bytes.starts_with(OK_FRAME) {
            // What most writes are answered with.
            Some(OK_FRAME.len())
        } else {
            whole_scalar(bytes, &self.bounds, self.bounds.reply)
        }
    }

    /// Whether the unfinished reply is no reply at all, but a push.
    pub(crate) fn is_in_push(&self) -> bool {
        self.progress.is_in_push()
    }

    /// Forgets the beginning of an unfinished reply: so many bytes at the front of `bytes`, all that were given last, need not be given again.
    /// What is left has no meaning but its end: [`Frame::len`] then counts from there.
    pub(crate) fn skip(&mut self, bytes: &[u8]) -> usize {
        if self.fresh || self.failed.is_some() { 0 } else { self.progress.skip(bytes) }
    }

    /// Forgets the current reply and any error: for a new connection.
    pub fn reset(&mut self) {
        self.failed = None;
        self.start_reply();
    }

    fn start_reply(&mut self) {
        self.progress.clear();
        self.fresh = true;
    }

    #[inline(never)]
    fn scan_on(&mut self, bytes: &[u8]) -> Result<Scan, ProtocolError> {
        if let Some(error) = &self.failed {
            return Err(ProtocolError::clone(error));
        }
        self.fresh = false;
        match self.progress.advance(bytes, &self.bounds) {
            Ok(Scan::Complete(frame)) => {
                self.start_reply();
                Ok(Scan::Complete(frame))
            }
            Ok(incomplete) => Ok(incomplete),
            Err(fault) => {
                let error = fault.near(bytes.get(self.progress.position..).unwrap_or_default());
                self.failed = Some(Box::new(error.clone()));
                Err(error)
            }
        }
    }
}

/// The size of a reply of the commonest forms, where it is whole and keeps the limits: a short line or a bulk
/// string. `None` says nothing: [`Progress::advance`] decides.
#[inline]
fn whole_scalar(bytes: &[u8], bounds: &Bounds, room: usize) -> Option<usize> {
    let (&tag, body) = bytes.split_first()?;
    let len = match tag {
        b'$' => match header::short_payload(body) {
            Some(place) => {
                let terminated = bytes.get(place.end..).is_some_and(|rest| rest.starts_with(b"\r\n"));
                let size = place.end.wrapping_sub(place.start);
                let digits = place.start.wrapping_sub(3);
                if !terminated || size > bounds.bulk || digits > bounds.line {
                    return None;
                }
                place.end.wrapping_add(2)
            }
            None if body.starts_with(b"-1\r\n") && bounds.line >= 2 => 5,
            None => return None,
        },
        b'+' | b'-' => {
            let text = body.iter().take(SHORT_LINE).position(|&byte| byte == b'\r')?;
            if text > bounds.line || body.get(text.wrapping_add(1)) != Some(&b'\n') {
                return None;
            }
            text.wrapping_add(3)
        }
        b':' => {
            let unsigned = body.strip_prefix(b"-").unwrap_or(body);
            // 18 digits fit into 64 bits whatever they are.
            let digits = unsigned.iter().take(18).take_while(|byte| byte.is_ascii_digit()).count();
            let text = body.len().wrapping_sub(unsigned.len()).wrapping_add(digits);
            if digits == 0 || text > bounds.line || !body.get(text..)?.starts_with(b"\r\n") {
                return None;
            }
            text.wrapping_add(3)
        }
        b'_' if body.starts_with(b"\r\n") => 3,
        _ => return None,
    };
    (len <= room).then_some(len)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
mod tests;
