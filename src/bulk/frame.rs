//! Commands that are encoded already: whether the bytes are one whole command, and where its name and its first argument lie.
//!
//! Knows the form of a command on the wire; refuses to know what it means. Invariant: total; what is accepted is one array of bulk strings
//! and nothing behind it, so that exactly one reply comes back.

use std::ops::Range;

use smallvec::SmallVec;

/// A command on the wire.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// How many words, with the name.
    pub(super) words: usize,
    pub(super) name: Range<usize>,
    /// The second word.
    pub(super) first: Option<Range<usize>>,
}

/// Reads a command.
#[inline]
pub(super) fn parse(bytes: &[u8]) -> Option<Frame> {
    let (words, at) = header(bytes, 0, b'*')?;
    let name = word(bytes, at)?;
    if words == 1 {
        return (name.end + 2 == bytes.len()).then_some(Frame { words, name, first: None });
    }
    let first = word(bytes, name.end + 2)?;
    let mut end = first.end + 2;
    for _ in 2..words {
        end = word(bytes, end)?.end + 2;
    }
    (end == bytes.len() && words > 1).then_some(Frame { words, name, first: Some(first) })
}

/// How a command begins, up to the end of its name. The commands of a load mostly begin alike, and to compare a beginning is to read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    bytes: u128,
    /// Of `bytes`, those that count.
    mask: u128,
    len: usize,
    words: usize,
}

/// Nothing begins like this.
impl Default for Head {
    fn default() -> Self {
        Head { bytes: 1, mask: 0, len: 0, words: 0 }
    }
}

impl Head {
    /// How this command begins, which was accepted; nothing where that is longer than what is compared at once.
    pub(super) fn of(bytes: &[u8], frame: &Frame) -> Option<Head> {
        let len = frame.name.end + 2;
        let front = u128::from_le_bytes(*bytes.first_chunk()?);
        let mask = u128::MAX.checked_shr(u128::BITS.checked_sub(8 * u32::try_from(len).ok()?)?)?;
        Some(Head { bytes: front & mask, mask, len, words: frame.words })
    }

    /// Whether a command begins so.
    #[inline(always)]
    pub(super) fn is_front(&self, front: &[u8; 16]) -> bool {
        u128::from_le_bytes(*front) & self.mask == self.bytes
    }

    /// Reads a command that begins so and has an argument: where that lies.
    #[inline(always)]
    pub(super) fn first_behind(&self, bytes: &[u8]) -> Option<Range<usize>> {
        let first = word(bytes, self.len)?;
        let mut end = first.end + 2;
        for _ in 2..self.words {
            end = word(bytes, end)?.end + 2;
        }
        (end == bytes.len()).then_some(first)
    }
}

/// The command that begins at this place, whatever stands behind it.
pub(super) fn next(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let (words, start) = header(bytes, at, b'*')?;
    let mut end = start;
    for _ in 0..words {
        end = word(bytes, end)?.end + 2;
    }
    (words > 0).then_some(at..end)
}

/// All words of a command that was accepted, with its name.
pub(super) fn words(bytes: &[u8]) -> SmallVec<[&[u8]; 8]> {
    let Some((count, mut at)) = header(bytes, 0, b'*') else { return SmallVec::new() };
    let next = |_| {
        let range = word(bytes, at)?;
        at = range.end + 2;
        bytes.get(range)
    };
    (0..count).map_while(next).collect()
}

/// `$len\r\n…\r\n` at this place: where the payload lies.
#[inline(always)]
fn word(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let (len, start) = header(bytes, at, b'$')?;
    let line_end = bytes.get(start..)?.get(len..)?.first_chunk::<2>()?;
    (line_end == b"\r\n").then_some(start..start + len)
}

/// A type byte, a number and a line end: the number, and where the next line starts. Zeros in front are no number to a server: it would
/// close the connection, and leave all that is under way there without an outcome.
#[inline(always)]
fn header(bytes: &[u8], at: usize, tag: u8) -> Option<(usize, usize)> {
    let rest = bytes.get(at..)?;
    // Nearly all numbers have one or two digits. With what stands around them they are looked at in one.
    if let Some(front) = rest.first_chunk::<8>() {
        let front = u64::from_le_bytes(*front);
        let (first, second) = ((front >> 8) as u8, (front >> 16) as u8);
        let is_digit = |byte: u8| byte.wrapping_sub(b'0') < 10;
        if front & TWO_DIGITS_MASK == TWO_DIGITS | u64::from(tag)
            && first != b'0'
            && is_digit(first)
            && is_digit(second)
        {
            return Some((usize::from(first) * 10 + usize::from(second) - 11 * usize::from(b'0'), at + 5));
        }
        if front & ONE_DIGIT_MASK == ONE_DIGIT | u64::from(tag) && is_digit(first) {
            return Some((usize::from(first) - usize::from(b'0'), at + 4));
        }
    }
    long_header(rest, at, tag)
}

/// What stands around a number of two digits, and of one: without the type byte.
const TWO_DIGITS: u64 = u64::from_le_bytes(*b"\0\0\0\r\n\0\0\0");
const TWO_DIGITS_MASK: u64 = u64::from_le_bytes(*b"\xff\0\0\xff\xff\0\0\0");
const ONE_DIGIT: u64 = u64::from_le_bytes(*b"\0\0\r\n\0\0\0\0");
const ONE_DIGIT_MASK: u64 = u64::from_le_bytes(*b"\xff\0\xff\xff\0\0\0\0");

#[inline(never)]
fn long_header(rest: &[u8], at: usize, tag: u8) -> Option<(usize, usize)> {
    const DIGITS_MAX: usize = 18;
    let (&first, line) = rest.split_first()?;
    let mut number = 0_usize;
    for (digits, &byte) in line.iter().enumerate().take(DIGITS_MAX + 1) {
        if byte == b'\r' {
            let is_number = digits > 0 && (digits == 1 || line.first() != Some(&b'0'));
            let whole = first == tag && is_number && line.get(digits + 1) == Some(&b'\n');
            return whole.then_some((number, at + digits + 3));
        }
        if !byte.is_ascii_digit() {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(usize::from(byte - b'0'))?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_commands_are_read() {
        let set = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$12\r\nvalue\r\nvalue\r\n";
        let frame = parse(set).unwrap();
        assert_eq!((frame.words, &set[frame.name], &set[frame.first.unwrap()]), (3, &b"SET"[..], &b"k"[..]));
        assert_eq!(words(set).to_vec(), [&b"SET"[..], b"k", b"value\r\nvalue"]);
        let ping = parse(b"*1\r\n$4\r\nPING\r\n").unwrap();
        assert_eq!((ping.words, ping.first), (1, None));
        let long = format!("*2\r\n$3\r\nGET\r\n${}\r\n{}\r\n", 1234, "k".repeat(1234));
        assert_eq!(parse(long.as_bytes()).unwrap().first.map(|key| key.len()), Some(1234));
        assert_eq!(parse(b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n").unwrap().words, 2);
    }

    #[test]
    fn anything_else_is_not() {
        let set = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\nv1\r\n";
        for end in 0..set.len() {
            assert_eq!(parse(&set[..end]), None, "{end}");
        }
        let twice = [set.as_slice(), set].concat();
        for wrong in [
            twice.as_slice(),
            b"*0\r\n",
            b"*-1\r\n",
            b"*2\r\n$3\r\nGET\r\n$-1\r\n",
            b"*1\r\n$4\r\nPING\r\n\r\n",
            b"PING\r\n",
            b"*1\r\n+PING\r\n",
            b"*2\r\n$3\r\nGET\r\n$2\r\nk\r\n\r\n$",
            b"*99999999999999999999\r\n",
            b"*02\r\n$3\r\nGET\r\n$1\r\nk\r\n",
            b"*2\r\n$03\r\nGET\r\n$1\r\nk\r\n",
            b"*2\r\n$3\r\nGET\r\n$001\r\nk\r\n",
            b"*2\r\n$3\r\nGET\r\n$00\r\n\r\n",
            b"*2\r\n$3\r\nGET\r\n$18446744073709551615\r\nk\r\n",
        ] {
            assert_eq!(parse(wrong), None, "{}", wrong.escape_ascii());
        }
    }

    #[test]
    fn a_known_beginning_reads_as_the_whole_does() {
        let set = b"*3\r\n$3\r\nSET\r\n$2\r\nk1\r\n$12\r\nvalue\r\nvalue\r\n";
        let head = Head::of(set, &parse(set).unwrap()).unwrap();
        let read = |head: &Head, bytes: &[u8]| {
            if head.is_front(bytes.first_chunk()?) { head.first_behind(bytes) } else { None }
        };
        assert_eq!(read(&head, set), parse(set).unwrap().first);
        // One byte more, less or different: never accepted where it is not by the whole, and never read in another way.
        for at in 0..set.len() {
            for byte in 0..=255 {
                let different = [&set[..at], &[byte], &set[at + 1..]].concat();
                let longer = [&set[..at], &[byte], &set[at..]].concat();
                let shorter = [&set[..at], &set[at + 1..]].concat();
                for bytes in [different, longer, shorter] {
                    if let Some(first) = read(&head, &bytes) {
                        let whole = parse(&bytes).unwrap();
                        assert_eq!((Some(first), &bytes[whole.name]), (whole.first, &b"SET"[..]));
                    }
                }
            }
        }
        let nothing = Head::default();
        for bytes in [&set[..], &[0; 40], &[1; 40], b"$3\r\nGET\r\n$3\r\nkey\r\n"] {
            assert_eq!(read(&nothing, bytes), None);
        }
        let long = b"*2\r\n$9\r\nPEXPIREAT\r\n$1\r\nk\r\n";
        assert!(Head::of(long, &parse(long).unwrap()).is_none(), "longer than what is compared at once");
    }
}
