//! Any bytes as what a server sends: the same frames and the same verdict however they are cut, progress with every frame, memory bounded
//! by what has arrived, and every accepted reply readable to its last byte.
//!
//! ```text
//! flags  seed seed seed  bytes of the stream …
//!   bit 0: small limits    bit 1: pieces of one byte    bit 2: read the replies as Rust types too
//! ```

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use bytes::Bytes;
use panpipe::config::FrameLimits;
use panpipe::error::{ProtocolError, ServerError};
use panpipe::resp::{Frame, FromReply, ReplyKind, ReplyRef, Scan, Scanner, pairs_vec};

use crate::alloc;
use crate::input::Input;

/// What the records of open aggregates and an error's text may take, whatever came.
const ALLOCATED_BYTES_MAX: u64 = 8 << 10;

/// What a scan came to, without what depends on how much had arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Complete(Frame),
    Incomplete { bytes_wanted: usize },
    Malformed(&'static str),
    Limit(&'static str, u64),
}

/// Takes one input.
pub fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let flags = input.byte();
    let mut pieces =
        Pieces { seed: u32::from_le_bytes([input.byte(), input.byte(), input.byte(), 1]), flags };
    let limits = if flags & 1 == 0 { FrameLimits::default() } else { small_limits(&mut pieces) };
    let stream = input.rest();
    let mut whole = Scanner::new(limits);
    let mut cut = Scanner::new(limits);
    let mut start = 0;
    loop {
        let rest = &stream[start..];
        let verdict = scan(&mut whole, rest);
        assert_eq!(in_pieces(&mut cut, rest, &mut pieces), without_wish(verdict), "cut differently");
        match verdict {
            Verdict::Complete(frame) => {
                assert!(frame.len >= 3 && frame.len <= rest.len(), "{frame:?} of {} bytes", rest.len());
                assert!(frame.attribute_len < frame.len);
                read(&rest[..frame.len], flags);
                start += frame.len;
            }
            Verdict::Incomplete { bytes_wanted } => return assert!(bytes_wanted > 0, "waits for nothing"),
            Verdict::Malformed(_) | Verdict::Limit(..) => {
                // The error stays, whatever comes, until the scanner is reset.
                assert_eq!(scan(&mut whole, b"+OK\r\n"), verdict);
                whole.reset();
                let fresh = scan(&mut Scanner::new(limits), b"+OK\r\n");
                assert_eq!(scan(&mut whole, b"+OK\r\n"), fresh);
                // What no scanner has accepted must not hurt a reader either.
                return ask(ReplyRef::new(rest), flags);
            }
        }
    }
}

/// How a stream is cut.
struct Pieces {
    seed: u32,
    flags: u8,
}

impl Pieces {
    fn number(&mut self) -> u32 {
        // xorshift32
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 17;
        self.seed ^= self.seed << 5;
        self.seed
    }

    fn next(&mut self) -> usize {
        if self.flags & 2 != 0 {
            return 1;
        }
        // Most are short, where headers and ends are.
        let number = self.number();
        1 + (number >> 8) as usize % [3, 8, 40, 400][number as usize % 4]
    }
}

fn small_limits(pieces: &mut Pieces) -> FrameLimits {
    let mut limit = |max: u32| match pieces.number() {
        n if n % 3 == 0 => (n >> 8) % max,
        _ => 1 << 20,
    };
    FrameLimits {
        depth_max: limit(5) as usize,
        bulk_bytes_max: limit(12).into(),
        line_bytes_max: limit(12) as usize,
        elements_max: limit(6).into(),
        total_elements_max: limit(8).into(),
        reply_bytes_max: limit(60).into(),
        attribute_pairs_max: limit(3).into(),
        attribute_bytes_max: limit(30).into(),
    }
}

fn scan(scanner: &mut Scanner, bytes: &[u8]) -> Verdict {
    let before = alloc::so_far().bytes;
    let result = scanner.scan(bytes);
    let allocated = alloc::so_far().bytes - before;
    assert!(allocated <= ALLOCATED_BYTES_MAX, "{allocated} bytes allocated for {}", bytes.len());
    match result {
        Ok(Scan::Complete(frame)) => Verdict::Complete(frame),
        Ok(Scan::Incomplete { bytes_wanted }) => Verdict::Incomplete { bytes_wanted },
        Err(ProtocolError::Malformed { what, near }) => {
            assert!(near.len() <= 4 * 32);
            Verdict::Malformed(what)
        }
        Err(ProtocolError::LimitExceeded { what, limit }) => Verdict::Limit(what, limit),
        Err(other) => panic!("an error of a kind that no scanner makes: {other:?}"),
    }
}

fn without_wish(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Incomplete { .. } => Verdict::Incomplete { bytes_wanted: 0 },
        other => other,
    }
}

/// The verdict when the bytes come in pieces; nothing new before the bytes that were asked for have come.
fn in_pieces(scanner: &mut Scanner, bytes: &[u8], pieces: &mut Pieces) -> Verdict {
    let (mut end, mut useful_from) = (0, 0);
    loop {
        let verdict = scan(scanner, &bytes[..end]);
        let Verdict::Incomplete { bytes_wanted } = verdict else {
            assert!(end >= useful_from, "an answer before the bytes it waited for");
            return verdict;
        };
        assert!(bytes_wanted > 0, "waits for nothing");
        useful_from = end + bytes_wanted;
        if end == bytes.len() {
            return without_wish(verdict);
        }
        end = (end + pieces.next()).min(bytes.len());
    }
}

/// Every question about an accepted reply, and about each of its parts.
fn read(frame: &[u8], flags: u8) {
    let reply = ReplyRef::new(frame);
    walk(reply);
    ask(reply, flags);
    if flags & 4 != 0 {
        let shared = Bytes::copy_from_slice(frame);
        let reply = ReplyRef::with_backing(&shared);
        walk(reply);
        ask(reply, flags);
    }
}

/// What the accessors say is what the bytes are: put together again they are the frame.
fn walk(reply: ReplyRef<'_>) {
    let mut value = reply.frame();
    if let Some(attribute) = reply.attribute() {
        walk(attribute);
        value = &value[attribute.frame().len()..];
        if value.first() == Some(&b'|') {
            // A second attribute is passed over.
            return reply.elements().for_each(walk);
        }
    }
    match (value[0], reply.kind()) {
        (b'+', ReplyKind::Status) | (b'(', ReplyKind::BigNumber) => {
            is_line(value, reply.as_bytes().expect("a text"));
        }
        (b'-', ReplyKind::Error) => is_line(value, reply.error().expect("a text")),
        (b'$', ReplyKind::Bulk) => is_payload(value, b"", reply.as_bytes().expect("bytes")),
        (b'!', ReplyKind::BlobError) => is_payload(value, b"", reply.error().expect("bytes")),
        (b'=', ReplyKind::Verbatim) => {
            let text = reply.as_bytes().expect("bytes");
            let format = value.len() - text.len() - 2 - 4;
            assert_eq!(value[format + 3], b':');
            is_payload(value, &value[format..format + 4], text);
        }
        (b':', ReplyKind::Integer) => {
            let text = std::str::from_utf8(&value[1..value.len() - 2]).expect("digits");
            assert_eq!(reply.as_i64(), text.parse().ok());
            assert!(reply.as_i64().is_some() && reply.as_f64().is_some());
        }
        (b',', ReplyKind::Double) => assert!(reply.as_f64().is_some()),
        (b'#', ReplyKind::Boolean) => assert_eq!(reply.as_bool(), Some(value == b"#t\r\n")),
        (b'_' | b'$' | b'*', ReplyKind::Null) => {
            assert!(matches!(value, b"_\r\n" | b"$-1\r\n" | b"*-1\r\n") && reply.is_null());
        }
        (b'*', ReplyKind::Array) | (b'~', ReplyKind::Set) | (b'>', ReplyKind::Push) => {
            is_list(reply, value, reply.len());
        }
        (b'%' | b'|', ReplyKind::Map) => {
            is_list(reply, value, 2 * reply.len());
            assert_eq!(reply.pairs().count(), reply.len());
        }
        (tag, kind) => panic!("{kind:?} of {}", tag.escape_ascii()),
    }
}

fn is_line(value: &[u8], text: &[u8]) {
    assert_eq!((&value[1..value.len() - 2], &value[value.len() - 2..]), (text, &b"\r\n"[..]));
}

fn is_payload(value: &[u8], format: &[u8], text: &[u8]) {
    let header = value.iter().position(|&byte| byte == b'\n').expect("a header") + 1;
    let declared = std::str::from_utf8(&value[1..header - 2]).expect("digits");
    assert_eq!(declared.parse(), Ok(format.len() + text.len()));
    let (front, body) = value[header..].split_at(format.len());
    assert_eq!((front, &body[..text.len()], &body[text.len()..]), (format, text, &b"\r\n"[..]));
}

fn is_list(reply: ReplyRef<'_>, value: &[u8], elements: usize) {
    let header = value.iter().position(|&byte| byte == b'\n').expect("a header") + 1;
    let (mut rest, mut count) = (&value[header..], 0);
    for element in reply.elements() {
        let frame = element.frame();
        assert!(std::ptr::eq(frame.as_ptr(), rest.as_ptr()), "elements lie one behind the other");
        rest = &rest[frame.len()..];
        count += 1;
        walk(element);
    }
    assert_eq!((rest.len(), count), (0, elements));
}

/// Every accessor and every conversion, on bytes that may be anything.
fn ask(reply: ReplyRef<'_>, flags: u8) {
    let _ = (reply.kind(), reply.is_null(), reply.as_bytes(), reply.as_str(), reply.as_i64(), reply.as_f64());
    let _ = (reply.as_bool(), reply.len(), reply.is_empty(), reply.pairs().count(), reply.error());
    if flags & 4 == 0 {
        return;
    }
    let mut text = Bounded(0);
    write!(text, "{reply:?}").expect("Debug is bounded");
    let _ = (reply.to_bytes(), bool::from_reply(reply), <()>::from_reply(reply), u32::from_reply(reply));
    let _ = (u64::from_reply(reply), usize::from_reply(reply), i32::from_reply(reply));
    let _ = (Option::<Vec<Bytes>>::from_reply(reply), <(i64, Vec<u8>)>::from_reply(reply));
    let _ = (HashMap::<String, f64>::from_reply(reply), BTreeMap::<Vec<u8>, i64>::from_reply(reply));
    let _ = (pairs_vec::<String, String>(reply), Vec::<(String, Option<f64>)>::from_reply(reply));
    let _ = (Vec::<Result<String, ServerError>>::from_reply(reply), Vec::<Vec<bool>>::from_reply(reply));
    let _ = <(Bytes, String, Vec<Bytes>)>::from_reply(reply);
}

/// Takes text up to a bound, and keeps none of it.
struct Bounded(usize);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0 += text.len();
        if self.0 > 64 * 300 { Err(std::fmt::Error) } else { Ok(()) }
    }
}
