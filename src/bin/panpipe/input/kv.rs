//! The format `kv`: `key<TAB>value`, one a line, and nothing is escaped.
//!
//! The key ends at the first tab; the value is the rest of the line, tabs and bytes that are no text included. Without templates a record is
//! `SET key value`; templates see the fields `key` and `value`.

use std::ops::Range;

use memchr::memchr;

use panpipe::resp::encode::put_bulk;

use crate::input::error::InputError;
use crate::input::fields::{FieldFilter, Row, column};
use crate::input::found::{Found, Made, Remake, Span};
use crate::input::key_rule::KeyRules;
use crate::input::lines::{Line, Lines, without_line_end};
use crate::input::options::InputOptions;
use crate::input::program::Program;

const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n";

/// Words whose length has at most three digits are written without looking twice.
const SHORT_BYTES_MAX: usize = 999;
/// What such a word may touch beside its bytes: a header and a line end.
const BESIDE_WORD_BYTES: usize = 10;
/// Keys are mostly shorter than this.
const NEAR_BYTES: usize = 64;

/// What a line consists of.
const NAMES: [&str; 2] = ["key", "value"];

/// Reads lines of a key and a value.
pub(crate) struct KeyValue {
    pub(crate) lines: Lines,
    templates: Option<Templates>,
}

struct Templates {
    program: Program,
    /// Of each wanted field, its place among the names.
    columns: Vec<usize>,
}

impl KeyValue {
    pub(crate) fn open(options: &InputOptions) -> Result<KeyValue, InputError> {
        let mut templates = None;
        if let Some(program) = Program::parse(options)? {
            let names = NAMES.map(str::to_owned);
            for name in &program.named {
                column(name, &names)?;
            }
            templates = Some(Templates { columns: program.wanted.columns(&names)?, program });
        }
        Ok(KeyValue { lines: Lines::default(), templates })
    }

    /// Without templates a record is the same command wherever it stands.
    pub(crate) fn remake(&self) -> Option<Remake> {
        if self.templates.is_some() { None } else { Some(set_again) }
    }

    #[inline(always)]
    pub(crate) fn find(&mut self, bytes: &[u8], at_end: bool, keys: &mut KeyRules, made: &mut Made) -> Found {
        let (len, content) = match self.lines.find(bytes, at_end) {
            Line::Whole { len, content } => (len, content),
            Line::Nothing { len } => return Found::Nothing { len },
            Line::More => return Found::More,
            Line::End => return Found::End,
        };
        let line = bytes.get(..content).unwrap_or_default();
        made.restart();
        let Some((key, value)) = split(line) else { return wrong(line, len) };
        if let Some(Templates { program, columns }) = &self.templates {
            return program.make(&Pair { key, value, columns, line }, (0, len), keys, made);
        }
        let (frame, key) = put_set(key, value, &mut made.buffer);
        made.in_buffer = true;
        made.spans.push(Span { frame, key: Some(key), is_unit: false });
        Found::Record { before: 0, len }
    }
}

/// Writes `SET key value` over what is in the buffer, which only grows; answers where the command and its key are.
#[inline(always)]
fn put_set(key: &[u8], value: &[u8], buffer: &mut Vec<u8>) -> (Range<usize>, Range<usize>) {
    if key.len() > SHORT_BYTES_MAX || value.len() > SHORT_BYTES_MAX {
        return put_long_set(key, value, buffer);
    }
    let bound = SET.len() + key.len() + value.len() + 2 * BESIDE_WORD_BYTES;
    if buffer.len() < bound {
        buffer.resize(2 * bound, 0);
    }
    buffer[..SET.len()].copy_from_slice(SET);
    let key_end = put_short_word(buffer, SET.len(), key);
    let end = put_short_word(buffer, key_end, value);
    (0..end, key_end - 2 - key.len()..key_end - 2)
}

/// The command of a record as it stands in the input.
fn set_again(record: &[u8], buffer: &mut Vec<u8>) -> Option<(Range<usize>, Range<usize>)> {
    let (key, value) = split(without_line_end(record))?;
    Some(put_set(key, value, buffer))
}

/// `$len\r\n` for short words; the last byte says how many bytes that is.
static HEADERS: [[u8; 8]; SHORT_BYTES_MAX + 1] = headers();

const fn headers() -> [[u8; 8]; SHORT_BYTES_MAX + 1] {
    let mut rows = [[0; 8]; SHORT_BYTES_MAX + 1];
    let mut len = 0;
    while len < rows.len() {
        let [hundreds, tens, ones] =
            [b'0' + (len / 100) as u8, b'0' + (len / 10 % 10) as u8, b'0' + (len % 10) as u8];
        rows[len] = match len {
            0..10 => [b'$', ones, b'\r', b'\n', 0, 0, 0, 4],
            10..100 => [b'$', tens, ones, b'\r', b'\n', 0, 0, 5],
            _ => [b'$', hundreds, tens, ones, b'\r', b'\n', 0, 6],
        };
        len += 1;
    }
    rows
}

/// Writes a word; answers where it ends.
#[inline(always)]
fn put_short_word(room: &mut [u8], at: usize, word: &[u8]) -> usize {
    // All eight bytes are written; what is too much of them is written over.
    let header = HEADERS[word.len()];
    let header_len = usize::from(header[7]);
    room[at..at + 8].copy_from_slice(&header);
    let start = at + header_len;
    let end = start + word.len();
    room[start..end].copy_from_slice(word);
    room[end..end + 2].copy_from_slice(b"\r\n");
    end + 2
}

#[inline(never)]
fn put_long_set(key: &[u8], value: &[u8], buffer: &mut Vec<u8>) -> (Range<usize>, Range<usize>) {
    buffer.clear();
    buffer.extend_from_slice(SET);
    put_bulk(buffer, key);
    let key_end = buffer.len() - 2;
    put_bulk(buffer, value);
    (0..buffer.len(), key_end - key.len()..key_end)
}

/// A line's two fields.
struct Pair<'a> {
    key: &'a [u8],
    value: &'a [u8],
    columns: &'a [usize],
    line: &'a [u8],
}

impl Row for Pair<'_> {
    fn value(&self, at: usize) -> Option<&[u8]> {
        Some(if *self.columns.get(at)? == 0 { self.key } else { self.value })
    }

    fn each(&self, filter: &FieldFilter, take: &mut dyn FnMut(&[u8], &[u8])) {
        for (name, value) in NAMES.iter().zip([self.key, self.value]) {
            if filter.takes(name.as_bytes()) {
                take(name.as_bytes(), value);
            }
        }
    }

    fn source(&self) -> &[u8] {
        self.line
    }

    fn missing(&self, _: usize) -> String {
        "a line has a key and a value".to_owned()
    }
}

/// Key and value; nothing where the line has no tab or no key.
#[inline(always)]
fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let tab = find_tab(line).filter(|&tab| tab > 0)?;
    Some((line.get(..tab)?, line.get(tab + 1..)?))
}

/// The first tab. Near the front, where it mostly is, eight bytes at a time are faster than a call.
#[inline(always)]
fn find_tab(line: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    let near = line.get(..NEAR_BYTES).unwrap_or(line);
    for (at, word) in near.as_chunks::<8>().0.iter().enumerate() {
        // A tab becomes zero, and the lowest high bit that the subtraction leaves marks the first zero.
        let zeroed = u64::from_le_bytes(*word) ^ ONES.wrapping_mul(u64::from(b'\t'));
        let marks = zeroed.wrapping_sub(ONES) & !zeroed & HIGHS;
        if marks != 0 {
            return Some(at * 8 + marks.trailing_zeros() as usize / 8);
        }
    }
    let looked = near.len() / 8 * 8;
    memchr(b'\t', line.get(looked..)?).map(|tab| looked + tab)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_is_made_again_is_the_same() {
        let long = "x".repeat(1200);
        let bodies = [
            "k\tv".to_owned(),
            "k\t".to_owned(),
            "k\tv\tw\r".to_owned(),
            "k\t\r\r".to_owned(),
            "k\r\t\0".to_owned(),
            format!("{long}\tv"),
            format!("k\t{long}"),
            format!("{}\t{}", &long[..70], &long[..999]),
        ];
        for body in bodies {
            for end in ["\n", "\r\n", ""] {
                let record = format!("{body}{end}").into_bytes();
                let mut kv = KeyValue { lines: Lines::default(), templates: None };
                let mut made = Made::new(false);
                let found = kv.find(&record, true, &mut KeyRules::new(), &mut made);
                assert!(matches!(found, Found::Record { before: 0, len } if len == record.len()));
                let span = made.spans.remove(0);
                let mut buffer = vec![b'?'; 5];
                let (frame, key) = set_again(&record, &mut buffer).expect("it was read before");
                assert_eq!(buffer[frame.clone()], made.buffer[span.frame], "{}", record.escape_ascii());
                assert_eq!(Some(key), span.key);
            }
        }
        let options = InputOptions { templates: vec!["SET #{key} 1".to_owned()], ..InputOptions::of("-") };
        assert!(KeyValue::open(&options).expect("opens").remake().is_none());
        assert!(KeyValue::open(&InputOptions::of("-")).expect("opens").remake().is_some());
    }
}
