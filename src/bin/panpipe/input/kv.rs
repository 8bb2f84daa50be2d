//! The format `kv`: `key<TAB>value`, one a line, and nothing is escaped.
//!
//! The key ends at the first tab; the value is the rest of the line, tabs and bytes that are no text included. Without templates a record is
//! `SET key value`.

use memchr::memchr;

use panpipe::resp::encode::put_bulk;

use crate::input::found::{Found, Made, Span};
use crate::input::lines::{Line, Lines};

const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n";

/// Reads lines of a key and a value.
#[derive(Default)]
pub(crate) struct KeyValue {
    pub(crate) lines: Lines,
}

impl KeyValue {
    #[inline(always)]
    pub(crate) fn find(&mut self, bytes: &[u8], at_end: bool, made: &mut Made) -> Found {
        let (len, content) = match self.lines.find(bytes, at_end) {
            Line::Whole { len, content } => (len, content),
            Line::Nothing { len } => return Found::Nothing { len },
            Line::More => return Found::More,
            Line::End => return Found::End,
        };
        let line = bytes.get(..content).unwrap_or_default();
        made.clear();
        let Some((key, value)) = split(line) else { return wrong(line, len) };
        made.in_buffer = true;
        made.buffer.extend_from_slice(SET);
        put_bulk(&mut made.buffer, key);
        let key_end = made.buffer.len() - 2;
        put_bulk(&mut made.buffer, value);
        let frame = 0..made.buffer.len();
        made.spans.push(Span { frame, key: Some(key_end - key.len()..key_end), is_unit: false });
        Found::Record { before: 0, len }
    }
}

/// Key and value; nothing where the line has no tab or no key.
#[inline(always)]
fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let tab = memchr(b'\t', line).filter(|&tab| tab > 0)?;
    Some((line.get(..tab)?, line.get(tab + 1..)?))
}

#[inline(never)]
fn wrong(line: &[u8], len: usize) -> Found {
    let reason = if line.starts_with(b"\t") {
        "the key is empty: the line begins with the tab"
    } else {
        "no tab between key and value"
    };
    Found::bad(0, len, reason)
}
