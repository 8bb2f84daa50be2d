//! The format `kv`: `key<TAB>value`, one a line, and nothing is escaped.
//!
//! The key ends at the first tab; the value is the rest of the line, tabs and bytes that are no text included. Without templates a record is
//! `SET key value`; templates see the fields `key` and `value`.

use memchr::memchr;

use panpipe::resp::encode::put_bulk;

use crate::input::error::InputError;
use crate::input::fields::{FieldFilter, Row, column};
use crate::input::found::{Found, Made, Span};
use crate::input::key_rule::KeyRules;
use crate::input::lines::{Line, Lines};
use crate::input::options::InputOptions;
use crate::input::program::Program;

const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n";

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

    #[inline(always)]
    pub(crate) fn find(&mut self, bytes: &[u8], at_end: bool, keys: &mut KeyRules, made: &mut Made) -> Found {
        let (len, content) = match self.lines.find(bytes, at_end) {
            Line::Whole { len, content } => (len, content),
            Line::Nothing { len } => return Found::Nothing { len },
            Line::More => return Found::More,
            Line::End => return Found::End,
        };
        let line = bytes.get(..content).unwrap_or_default();
        made.clear();
        let Some((key, value)) = split(line) else { return wrong(line, len) };
        if let Some(Templates { program, columns }) = &self.templates {
            return program.make(&Pair { key, value, columns, line }, (0, len), keys, made);
        }
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
