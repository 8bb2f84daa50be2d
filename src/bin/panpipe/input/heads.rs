//! How the commands of an input begin. Mostly many begin alike, and to compare a beginning is to read it.
//!
//! Knows frames whose first argument is their only key, as somebody else has found out of one that began so. Refuses to guess: what does not
//! begin like one of the last few, has long words or goes on behind the window is looked at more closely. Invariant: a frame that is read
//! here is whole and well formed.

use std::ops::Range;

/// Beginnings that are remembered: a file that alternates between a few commands has no more.
const HEADS: usize = 4;

/// A command up to the end of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    bytes: u128,
    /// Of `bytes`, those that count; none where nothing is remembered, and then `bytes` is what no masked bytes are.
    mask: u128,
    len: usize,
    words: usize,
}

/// The last few beginnings.
#[derive(Debug)]
pub(crate) struct Heads {
    rows: [Head; HEADS],
    /// The oldest.
    next: usize,
}

impl Heads {
    pub(crate) fn new() -> Heads {
        Heads { rows: [Head { bytes: 1, mask: 0, len: 0, words: 0 }; HEADS], next: 0 }
    }

    /// Remembers how a frame began, of which its first argument is the only key.
    pub(crate) fn remember(&mut self, frame: &[u8], name_end: usize, words: u64) {
        let len = name_end + 2;
        let (Some(front), Ok(words)) = (frame.first_chunk::<16>(), usize::try_from(words)) else { return };
        if words < 2 || len > front.len() {
            return;
        }
        let mask = u128::MAX >> (8 * (front.len() - len));
        let head = Head { bytes: u128::from_le_bytes(*front) & mask, mask, len, words };
        // What begins like a known one may have been read elsewhere all the same, where a word of it was long.
        if !self.rows.contains(&head) {
            self.rows[self.next] = head;
            self.next = (self.next + 1) % HEADS;
        }
    }

    /// Reads a frame that begins like one that was remembered: its length, and where its first argument is.
    #[inline(always)]
    pub(crate) fn read(&self, bytes: &[u8]) -> Option<(usize, Range<usize>)> {
        let front = u128::from_le_bytes(*bytes.first_chunk()?);
        let head = self.rows.iter().find(|head| front & head.mask == head.bytes)?;
        let first = short_word(bytes, head.len)?;
        let mut end = first.end + 2;
        for _ in 2..head.words {
            end = short_word(bytes, end)?.end + 2;
        }
        Some((end, first))
    }
}

#[inline(always)]
fn short_word(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let (len, start) = short_len(bytes, at)?;
    let line_end = bytes.get(start..)?.get(len..)?.first_chunk::<2>()?;
    (line_end == b"\r\n").then_some(start..start + len)
}

/// A dollar, one to three digits and a line end: the number, and where it ends. Eight bytes are looked at in one; where there are no eight, a
/// closer look is no loss.
#[inline(always)]
fn short_len(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let front = u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
    let digit = |place: u32| usize::from(((front >> (8 * place)) as u8).wrapping_sub(b'0'));
    let (first, second, third) = (digit(1), digit(2), digit(3));
    let leads = (1..10).contains(&first);
    let is = |mask: u64, form: &[u8; 8]| front & mask == u64::from_le_bytes(*form);
    if is(0xff_ff00_00ff, b"$\0\0\r\n\0\0\0") && leads && second < 10 {
        Some((first * 10 + second, at + 5))
    } else if is(0xffff_00ff, b"$\0\r\n\0\0\0\0") && first < 10 {
        Some((first, at + 4))
    } else if is(0xffff_0000_00ff, b"$\0\0\0\r\n\0\0") && leads && second < 10 && third < 10 {
        Some((first * 100 + second * 10 + third, at + 6))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_alike_is_read_and_nothing_else() {
        let set: &[u8] = b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$12\r\nvalue\r\nvalue\r\n*3\r\n$";
        let mut heads = Heads::new();
        assert_eq!(heads.read(set), None, "nothing is known");
        heads.remember(set, 11, 3);
        let whole = set.len() - 5;
        assert_eq!(heads.read(set), Some((whole, 17..20)));
        assert_eq!(heads.read(&set[..whole]), Some((whole, 17..20)), "nothing behind it");
        for end in 0..whole {
            assert_eq!(heads.read(&set[..end]), None, "{end}");
        }
        for other in [
            &b"*3\r\n$3\r\nGET\r\n$3\r\nkey\r\n$1\r\nv\r\n*3\r\n$"[..],
            b"*4\r\n$3\r\nSET\r\n$3\r\nkey\r\n$1\r\nv\r\n$1\r\n1\r\n*3",
            b"*3\r\n$3\r\nSET\r\n$03\r\nkey\r\n$1\r\nv\r\n*3\r\n$",
            b"*3\r\n$3\r\nSET\r\n$3\r\nkeyy\r\n$1\r\nv\r\n*3\r\n$",
            b"*3\r\n$3\r\nSET\r\n$-1\r\n\r\n$1\r\nv\r\n*3\r\n$$$$$",
        ] {
            assert_eq!(heads.read(other), None, "{}", other.escape_ascii());
        }
    }

    #[test]
    fn a_few_are_remembered_each_once() {
        let frame = |name: &str| format!("*2\r\n${}\r\n{name}\r\n$1\r\nk\r\n*2\r\n", name.len()).into_bytes();
        let names = ["GET", "DEL", "TTL", "INCR", "DECR"];
        let mut heads = Heads::new();
        for _ in 0..3 {
            for name in &names[..HEADS] {
                heads.remember(&frame(name), 8 + name.len(), 2);
            }
        }
        assert!(names[..HEADS].iter().all(|name| heads.read(&frame(name)).is_some()));
        heads.remember(&frame("DECR"), 12, 2);
        assert_eq!(heads.read(&frame("GET")), None, "the oldest goes");
        assert!(heads.read(&frame("DECR")).is_some());
        // What is too long to be compared at once, and what has no argument, is not remembered.
        heads.remember(b"*2\r\n$9\r\nPEXPIREAT\r\n$1\r\nk\r\n", 17, 2);
        heads.remember(b"*1\r\n$4\r\nPING\r\n........", 12, 1);
        assert!(heads.read(&frame("DECR")).is_some() && heads.read(&frame("DEL")).is_some());
    }
}
