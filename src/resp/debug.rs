//! How a reply prints under `Debug`: bounded, whatever the reply.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt;

use smallvec::SmallVec;

use super::elements::{Elements, Pairs};
use super::reply::{ReplyKind, ReplyRef};

/// Values printed of one reply.
const VALUES_MAX: usize = 64;
/// Bytes printed of one string.
const BYTES_MAX: usize = 64;

/// An aggregate whose elements are being printed.
struct Open<'a> {
    elements: Elements<'a>,
    printed: usize,
    map: bool,
}

impl fmt::Debug for ReplyRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut open: SmallVec<[Open<'_>; 4]> = SmallVec::new();
        let mut left = VALUES_MAX;
        print_value(*self, f, &mut open)?;
        while let Some(level) = open.last_mut() {
            let Some(element) = level.elements.next() else {
                f.write_str(if level.map { "}" } else { "]" })?;
                open.pop();
                continue;
            };
            if level.printed > 0 {
                let after_key = level.map && !level.printed.is_multiple_of(2);
                f.write_str(if after_key { ": " } else { ", " })?;
            }
            level.printed = level.printed.saturating_add(1);
            if left == 0 {
                return f.write_str("…");
            }
            left = left.saturating_sub(1);
            print_value(element, f, &mut open)?;
        }
        Ok(())
    }
}

/// A scalar, or the start of an aggregate.
fn print_value<'a>(
    reply: ReplyRef<'a>,
    f: &mut fmt::Formatter<'_>,
    open: &mut SmallVec<[Open<'a>; 4]>,
) -> fmt::Result {
    let kind = reply.kind();
    match kind {
        ReplyKind::Null => f.write_str("null"),
        ReplyKind::Status => print_bytes("+", reply.as_bytes(), f),
        ReplyKind::Bulk => print_bytes("", reply.as_bytes(), f),
        ReplyKind::Verbatim => print_bytes("=", reply.as_bytes(), f),
        ReplyKind::Error | ReplyKind::BlobError => print_bytes("-", reply.error(), f),
        ReplyKind::Integer | ReplyKind::Double | ReplyKind::Boolean | ReplyKind::BigNumber => {
            print_cut(reply.line_text().unwrap_or_default(), f)
        }
        ReplyKind::Array | ReplyKind::Map | ReplyKind::Set | ReplyKind::Push => {
            f.write_str(match kind {
                ReplyKind::Map => "{",
                ReplyKind::Set => "~[",
                ReplyKind::Push => ">[",
                _ => "[",
            })?;
            open.push(Open { elements: reply.elements(), printed: 0, map: kind == ReplyKind::Map });
            Ok(())
        }
    }
}

fn print_bytes(mark: &str, bytes: Option<&[u8]>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{mark}\"")?;
    print_cut(bytes.unwrap_or_default(), f)?;
    f.write_str("\"")
}

fn print_cut(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match bytes.get(..BYTES_MAX) {
        Some(start) if bytes.len() > BYTES_MAX => {
            write!(f, "{}… ({} bytes)", start.escape_ascii(), bytes.len())
        }
        _ => write!(f, "{}", bytes.escape_ascii()),
    }
}

impl fmt::Debug for Elements<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Elements").field("remaining", &self.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Pairs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pairs").field("remaining_max", &self.size_hint().1).finish_non_exhaustive()
    }
}
