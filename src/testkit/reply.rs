//! Replies as the server writes them, in the RESP version of the session.
//!
//! Knows both shapes of each kind of value; refuses to know why it is sent. Invariant: every method writes one
//! complete value, or the header of an aggregate whose elements the caller writes next.
//!
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>

use std::borrow::Cow;
use std::io::Write;

/// The RESP version of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Resp {
    #[default]
    Two,
    Three,
}

/// The text of an error reply without its leading `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandError(Cow<'static, [u8]>);

impl CommandError {
    pub(crate) const fn new(text: &'static str) -> Self {
        CommandError(Cow::Borrowed(text.as_bytes()))
    }

    /// A text with a word of the client's in it. C prints the word up to its first NUL.
    pub(crate) fn quoting(before: &str, word: &[u8], after: &str) -> Self {
        let end = word.iter().position(|&byte| byte == 0).unwrap_or(word.len());
        CommandError([before.as_bytes(), &word[..end], after.as_bytes()].concat().into())
    }

    /// Whether it comes from the slot check: EXEC passes such errors on as they are.
    pub(crate) fn is_redirect(&self) -> bool {
        let codes = [b"MOVED ".as_slice(), b"ASK ", b"TRYAGAIN ", b"CROSSSLOT ", b"CLUSTERDOWN "];
        codes.iter().any(|code| self.0.starts_with(code))
    }

    /// The text. A line break inside it would end the reply early: the server cuts those at the end and writes
    /// spaces for the others.
    pub(crate) fn text(&self) -> Cow<'_, [u8]> {
        let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
        if !self.0.iter().any(is_break) {
            return Cow::Borrowed(&self.0);
        }
        let end = self.0.iter().rposition(|byte| !is_break(byte)).map_or(0, |last| last + 1);
        Cow::Owned(self.0[..end].iter().map(|byte| if is_break(byte) { b' ' } else { *byte }).collect())
    }
}

impl From<Vec<u8>> for CommandError {
    fn from(text: Vec<u8>) -> Self {
        CommandError(Cow::Owned(text))
    }
}

impl From<String> for CommandError {
    fn from(text: String) -> Self {
        CommandError(Cow::Owned(text.into_bytes()))
    }
}

pub(crate) const WRONG_TYPE: CommandError =
    CommandError::new("WRONGTYPE Operation against a key holding the wrong kind of value");
pub(crate) const NOT_AN_INTEGER: CommandError =
    CommandError::new("ERR value is not an integer or out of range");
pub(crate) const NOT_A_FLOAT: CommandError = CommandError::new("ERR value is not a valid float");
pub(crate) const SYNTAX: CommandError = CommandError::new("ERR syntax error");
pub(crate) const OUT_OF_RANGE: CommandError = CommandError::new("ERR index out of range");
pub(crate) const NO_SUCH_KEY: CommandError = CommandError::new("ERR no such key");
pub(crate) const NOT_POSITIVE: CommandError =
    CommandError::new("ERR value is out of range, must be positive");

/// How a command ended: it has written its reply, or the reply is this error.
pub(crate) type Done = Result<(), CommandError>;

/// Where a command's reply is written.
#[derive(Debug)]
pub(crate) struct Reply<'a> {
    out: &'a mut Vec<u8>,
    resp: Resp,
}

impl<'a> Reply<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>, resp: Resp) -> Self {
        Reply { out, resp }
    }

    pub(crate) fn resp(&self) -> Resp {
        self.resp
    }

    /// Bytes written so far; `truncate` takes what came after back.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    /// The bytes behind the first `start`.
    pub(crate) fn since(&self, start: usize) -> &[u8] {
        &self.out[start..]
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.out.truncate(len);
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub(crate) fn ok(&mut self) {
        self.status("OK");
    }

    pub(crate) fn status(&mut self, text: &str) {
        self.out.push(b'+');
        self.out.extend_from_slice(text.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    pub(crate) fn error(&mut self, error: &CommandError) {
        self.out.push(b'-');
        self.out.extend_from_slice(&error.text());
        self.out.extend_from_slice(b"\r\n");
    }

    pub(crate) fn integer(&mut self, value: i64) {
        self.out.push(b':');
        self.number_line(value);
    }

    /// A count or a length.
    pub(crate) fn count(&mut self, value: usize) {
        self.header(b':', value);
    }

    /// Yes or no where the server answers 1 or 0.
    pub(crate) fn flag(&mut self, value: bool) {
        self.integer(i64::from(value));
    }

    pub(crate) fn bulk(&mut self, payload: &[u8]) {
        self.header(b'$', payload.len());
        self.out.extend_from_slice(payload);
        self.out.extend_from_slice(b"\r\n");
    }

    pub(crate) fn bulk_or_null(&mut self, payload: Option<&[u8]>) {
        match payload {
            Some(payload) => self.bulk(payload),
            None => self.null(),
        }
    }

    pub(crate) fn null(&mut self) {
        self.raw(if self.resp == Resp::Three { b"_\r\n" } else { b"$-1\r\n" });
    }

    pub(crate) fn null_array(&mut self) {
        self.raw(if self.resp == Resp::Three { b"_\r\n" } else { b"*-1\r\n" });
    }

    pub(crate) fn array(&mut self, elements: usize) {
        self.header(b'*', elements);
    }

    /// A map of `pairs` pairs: a flat array in RESP2.
    pub(crate) fn map(&mut self, pairs: usize) {
        match self.resp {
            Resp::Two => self.header(b'*', pairs * 2),
            Resp::Three => self.header(b'%', pairs),
        }
    }

    pub(crate) fn set(&mut self, elements: usize) {
        self.header(if self.resp == Resp::Three { b'~' } else { b'*' }, elements);
    }

    /// A floating point number: a bulk string in RESP2.
    pub(crate) fn double(&mut self, value: f64) {
        let text = super::number::double_text(value);
        match self.resp {
            Resp::Two => self.bulk(text.as_bytes()),
            Resp::Three => {
                self.out.push(b',');
                self.out.extend_from_slice(text.as_bytes());
                self.out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Text for people: a verbatim string in RESP3.
    pub(crate) fn text(&mut self, text: &str) {
        match self.resp {
            Resp::Two => self.bulk(text.as_bytes()),
            Resp::Three => {
                self.header(b'=', text.len() + 4);
                self.out.extend_from_slice(b"txt:");
                self.out.extend_from_slice(text.as_bytes());
                self.out.extend_from_slice(b"\r\n");
            }
        }
    }

    fn header(&mut self, kind: u8, value: usize) {
        self.out.push(kind);
        match value {
            0..=9 => self.out.extend_from_slice(&[b'0' + value as u8, b'\r', b'\n']),
            _ => self.number_line(value),
        }
    }

    fn number_line(&mut self, value: impl std::fmt::Display) {
        // Writing to a vector cannot fail.
        let _ = write!(self.out, "{value}\r\n");
    }
}
