//! The format `resp`: commands as they go over the wire, as `redis-cli --pipe` and the tails of append-only files have them.
//!
//! A frame is forwarded as it lies in the input. Between frames may stand inline commands, blank lines and the annotations (`#TS:…`) of
//! append-only files. Knows framing; what SELECT and MULTI mean is `statement`'s. Invariant: a frame that is not well formed ends the input:
//! a value may look like a command, so that guessing where the next one begins could run what is data.

use std::ops::Range;

use memchr::memchr;

use crate::input::found::{Found, Made, Span};
use crate::input::heads::Heads;
use crate::input::key_rule::{KeyRule, KeyRules};
use crate::input::quoting::Words;
use crate::input::statement::{self, Statement};

/// What servers allow.
const WORDS_MAX: u64 = i32::MAX as u64;
const NUMBER_DIGITS_MAX: usize = 10;

/// Reads frames.
pub(crate) struct Resp {
    /// Of a frame that goes on behind the window: where its next word begins.
    at: usize,
    words: u64,
    words_left: u64,
    name: Range<usize>,
    first: Range<usize>,
    /// How far a line without its end was looked through.
    scanned: usize,
    inline: Words,
    statement: Statement,
    heads: Heads,
    record_bytes_max: usize,
}

/// A number in the protocol, which ends with CR LF.
enum Number {
    Is(u64, usize),
    More,
    Wrong,
}

impl Resp {
    pub(crate) fn new(record_bytes_max: usize) -> Resp {
        Resp {
            at: 0,
            words: 0,
            words_left: 0,
            name: 0..0,
            first: 0..0,
            scanned: 0,
            inline: Words::default(),
            statement: Statement::new(record_bytes_max),
            heads: Heads::new(),
            record_bytes_max,
        }
    }

    /// Between MULTI and EXEC.
    pub(crate) fn is_within(&self) -> bool {
        self.statement.is_within()
    }

    #[inline(always)]
    pub(crate) fn find(&mut self, bytes: &[u8], at_end: bool, keys: &mut KeyRules, made: &mut Made) -> Found {
        if self.at == 0
            && !self.statement.is_within()
            && let Some((len, first)) = self.heads.read(bytes)
        {
            made.clear();
            made.spans.push(Span { frame: 0..len, key: Some(first), is_unit: false });
            return Found::Record { before: 0, len };
        }
        self.find_any(bytes, at_end, keys, made)
    }

    /// Whatever is at the front, a piece at a time.
    #[inline(never)]
    fn find_any(&mut self, bytes: &[u8], at_end: bool, keys: &mut KeyRules, made: &mut Made) -> Found {
        if bytes.first() != Some(&b'*') {
            return self.find_other(bytes, at_end, keys, made);
        }
        if self.words_left == 0
            && let Err(found) = self.begin(bytes, at_end)
        {
            return found;
        }
        if let Err(found) = self.read_words(bytes, at_end) {
            return found;
        }
        let (len, words) = (self.at, self.words);
        self.at = 0;
        if words == 0 {
            // As servers do: an empty command is none.
            return Found::Nothing { len };
        }
        let name = bytes.get(self.name.clone()).unwrap_or_default();
        let rule = keys.rule(name);
        if let KeyRule::First = rule
            && !self.statement.is_within()
        {
            // As in `find`; `statement` would look for the key once more.
            self.heads.remember(bytes, self.name.end, words);
            made.clear();
            let key = (words > 1).then(|| self.first.clone());
            made.spans.push(Span { frame: 0..len, key, is_unit: false });
            return Found::Record { before: 0, len };
        }
        self.statement.take(bytes.get(..len).unwrap_or_default(), len, rule, keys, made)
    }

    /// Reads `*N\r\n`.
    #[inline(always)]
    fn begin(&mut self, bytes: &[u8], at_end: bool) -> Result<(), Found> {
        match number(bytes, 1) {
            Number::Is(words, next) if words <= WORDS_MAX => {
                (self.at, self.words, self.words_left) = (next, words, words);
                (self.name, self.first) = (0..0, 0..0);
                Ok(())
            }
            Number::More => Err(self.more(bytes, at_end)),
            _ if bytes.starts_with(b"*-1\r\n") => Err(Found::Nothing { len: 5 }),
            _ if !at_end && b"*-1\r\n".starts_with(bytes) => Err(Found::More),
            _ => Err(Found::fatal(0, "no number of words stands behind the * that begins a command")),
        }
    }

    /// Reads words until the frame or the window ends. What was read stays read.
    #[inline(always)]
    fn read_words(&mut self, bytes: &[u8], at_end: bool) -> Result<(), Found> {
        let (mut at, mut left) = (self.at, self.words_left);
        while left > 0 {
            let word = word(bytes, at);
            let Ok((start, end)) = word else {
                (self.at, self.words_left) = (at, left);
                return Err(match word {
                    Err(Some(reason)) => self.malformed(bytes, reason),
                    _ => self.more(bytes, at_end),
                });
            };
            match self.words - left {
                0 => self.name = start..end,
                1 => self.first = start..end,
                _ => {}
            }
            at = end + 2;
            left -= 1;
        }
        (self.at, self.words_left) = (at, 0);
        Ok(())
    }

    /// The window ends within a frame.
    #[inline(never)]
    fn more(&self, bytes: &[u8], at_end: bool) -> Found {
        let announced = match number(bytes, self.at + 1) {
            Number::Is(len, _) if self.words_left > 0 => len,
            _ => 0,
        };
        if announced > self.record_bytes_max as u64 {
            let limit = self.record_bytes_max;
            let reason =
                format!("a word of {announced} bytes is announced; a record has at most {limit} bytes");
            return Found::fatal(self.at, reason);
        }
        if !at_end {
            return Found::More;
        }
        let word = self.words - self.words_left + 1;
        let what = if self.words_left == 0 {
            "before its first word".to_owned()
        } else {
            format!("in word {word} of {}", self.words)
        };
        Found::fatal(
            0,
            format!("the input is cut off: it ends {} bytes into this record, {what}", bytes.len()),
        )
    }

    #[inline(never)]
    fn malformed(&self, bytes: &[u8], reason: &str) -> Found {
        let word = self.words - self.words_left + 1;
        let here = shown(bytes.get(self.at..).unwrap_or_default());
        Found::fatal(self.at, format!("{reason} (word {word} of {}, which begins with {here})", self.words))
    }

    /// What is no frame: a blank line, an annotation, an inline command.
    #[inline(never)]
    fn find_other(&mut self, bytes: &[u8], at_end: bool, keys: &mut KeyRules, made: &mut Made) -> Found {
        let Some(&first) = bytes.first() else {
            return if at_end { self.statement.end(made) } else { Found::More };
        };
        if !is_line_start(first) {
            return Found::fatal(
                0,
                format!("neither a RESP command nor a line begins with {}", shown(bytes)),
            );
        }
        let Some(end) = memchr(b'\n', bytes.get(self.scanned..).unwrap_or_default())
            .map(|end| self.scanned + end + 1)
            .or(at_end.then_some(bytes.len()))
        else {
            self.scanned = bytes.len();
            return Found::More;
        };
        self.scanned = 0;
        let line = bytes.get(..end).unwrap_or_default();
        if first == b'#' {
            return Found::Nothing { len: end };
        }
        if let Err(reason) = self.inline.split(line) {
            return self.statement.take_unreadable(end, reason);
        }
        match self.inline.iter().next() {
            None => Found::Nothing { len: end },
            Some(name) if !name.iter().all(|&byte| is_in_name(byte)) => {
                Found::fatal(0, format!("no command is called {}", crate::output::excerpt(name)))
            }
            Some(_) => {
                made.clear();
                statement::encode(&self.inline, &mut made.buffer);
                self.statement.take_written(end, keys, made)
            }
        }
    }
}

/// What an annotation, a blank line or the name of an inline command can begin with.
fn is_line_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || b"#\r\n \t\"'".contains(&byte)
}

fn is_in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

/// Reads `$len\r\n…\r\n`: where the word is. An error without words: it goes on behind the window.
#[inline(always)]
fn word(bytes: &[u8], at: usize) -> Result<(usize, usize), Option<&'static str>> {
    match bytes.get(at) {
        Some(b'$') => {}
        None => return Err(None),
        Some(_) => return Err(Some("a word begins with $ and its length")),
    }
    let (len, start) = match number(bytes, at + 1) {
        Number::Is(len, next) => (len as usize, next),
        Number::More => return Err(None),
        Number::Wrong => return Err(Some("the length of a word is no number")),
    };
    let end = start + len;
    match bytes.get(end..end + 2) {
        Some(b"\r\n") => Ok((start, end)),
        Some(_) => Err(Some("no line end stands where the length says that the word ends")),
        None => Err(None),
    }
}

/// Zeros in front make it none: a server would close the connection, and with it what others have on their way there.
#[inline(always)]
fn number(bytes: &[u8], start: usize) -> Number {
    let mut value = 0;
    let mut at = start;
    loop {
        match bytes.get(at) {
            Some(&digit @ b'0'..=b'9') => value = value * 10 + u64::from(digit - b'0'),
            Some(b'\r') if at > start => break,
            Some(_) => return Number::Wrong,
            None => return Number::More,
        }
        at += 1;
        if at - start == 2 && bytes[start] == b'0' {
            return Number::Wrong;
        }
        if at - start > NUMBER_DIGITS_MAX {
            return Number::Wrong;
        }
    }
    match bytes.get(at + 1) {
        Some(b'\n') => Number::Is(value, at + 2),
        Some(_) => Number::Wrong,
        None => Number::More,
    }
}

/// A byte, for a message; more may not be there yet.
fn shown(bytes: &[u8]) -> String {
    bytes.first().map_or_else(String::new, |byte| format!("'{}'", byte.escape_ascii()))
}
