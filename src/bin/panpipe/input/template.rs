//! Templates: a command with places for the values of a record.
//!
//! `HSET cart:{#{user}}:items last #{item:-none} at #{@record}`. Words are quoted as for redis-cli; `#{…}` is a place, also within quotes, and
//! braces alone are ordinary characters, as hash tags need them. Knows text and places, not where values come from. Invariant: the words
//! of a command are those of its template: a value is a part of one word, whatever is in it.

use panpipe::resp::encode::{array_header_len, put_array_header, put_bulk, put_bulk_header, u64_len};

use crate::input::error::InputError;
use crate::input::fields::{FieldFilter, Row, Wanted};
use crate::input::found::{Made, Span};
use crate::input::key_rule::{KeyRule, KeyRules};
use crate::input::quoting::{is_space, unescaped};
use crate::input::statement;

/// A part of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(Vec<u8>),
    /// A value, by its place among the wanted ones.
    Field {
        at: usize,
        default: Option<Vec<u8>>,
    },
    /// The record's number.
    Number,
    /// The record as it stands in the input.
    Source,
}

/// One or more words.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// Encoded words without places.
    Fixed(Vec<u8>),
    Word(Vec<Piece>),
    /// Name and value of every field.
    Fields(FieldFilter),
}

/// A word as it is read, before it is known which are encoded together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    Pieces(Vec<Piece>),
    Fields(FieldFilter),
}

/// One command with places.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    parts: Vec<Part>,
    /// Where there are `Part::Fields`: the other words, so that the header can count. The header is a part of the first part elsewhere.
    words: Option<usize>,
    /// Among `parts`: the key, where the first argument is the only one.
    key: Option<usize>,
}

impl Template {
    /// Reads a template; answers its words. The error is for the person who wrote it.
    pub(crate) fn parse(text: &str, wanted: &mut Wanted) -> Result<Vec<Word>, InputError> {
        let wrong = |reason: String| {
            InputError::usage(format!("--cmd {text:?}: {reason}"))
                .hint("A template is a command with #{field} for the record's values: --cmd 'SET user:#{id} #{name:-nobody}'")
        };
        let words = Reader { line: text.as_bytes(), at: 0, wanted }.words().map_err(wrong)?;
        if words.is_empty() { Err(wrong("no command".to_owned())) } else { Ok(words) }
    }

    /// Reads text with places in which spaces and quotes are ordinary characters.
    pub(crate) fn pieces(text: &str, wanted: &mut Wanted) -> Result<Vec<Piece>, String> {
        let mut reader = Reader { line: text.as_bytes(), at: 0, wanted };
        let mut pieces = Vec::new();
        while let Some(&byte) = reader.line.get(reader.at) {
            if !reader.place(&mut pieces)? {
                push(&mut pieces, byte);
                reader.at += 1;
            }
        }
        Ok(pieces)
    }

    /// Makes a template of words, if they can be a command.
    pub(crate) fn of(words: Vec<Word>, keys: &mut KeyRules) -> Result<Template, String> {
        let Some(Word::Pieces(name)) = words.first() else { return Err("no command".to_owned()) };
        let [Piece::Text(name)] = name.as_slice() else {
            return Err("the name of the command must be written out".to_owned());
        };
        let shown = String::from_utf8_lossy(name).into_owned();
        let rule = keys.rule(name);
        match rule {
            KeyRule::Unknown => return Err(format!("{shown:?} is no command that panpipe knows")),
            KeyRule::Bracket(_) => {
                return Err(format!(
                    "{shown} has no place in a template: several --cmd make several commands"
                ));
            }
            _ => {}
        }
        let has_fields = words.iter().any(|word| matches!(word, Word::Fields(_)));
        let count = words.iter().filter(|word| matches!(word, Word::Pieces(_))).count();
        if let Some(arity) = keys.arity(name)
            && !has_fields
            && (count < arity.unsigned_abs() || arity > 0 && count > arity.unsigned_abs())
        {
            return Err(format!(
                "{shown} with {} arguments: the server wants {}",
                count - 1,
                wanted_arguments(arity)
            ));
        }
        if matches!(rule, KeyRule::First) && count < 2 {
            return Err(format!("{shown} without a key"));
        }
        Ok(Template::encode(words, count, matches!(rule, KeyRule::First), has_fields))
    }

    fn encode(words: Vec<Word>, count: usize, first_is_key: bool, has_fields: bool) -> Template {
        let mut parts = Vec::new();
        let mut fixed = Vec::new();
        let mut key = None;
        if !has_fields {
            put_array_header(&mut fixed, count);
        }
        for (at, word) in words.into_iter().enumerate() {
            match word {
                Word::Pieces(pieces) => match pieces.as_slice() {
                    [] if !(first_is_key && at == 1) => put_bulk(&mut fixed, b""),
                    [Piece::Text(text)] if !(first_is_key && at == 1) => put_bulk(&mut fixed, text),
                    _ => {
                        put_fixed(&mut parts, &mut fixed);
                        if first_is_key && at == 1 {
                            key = Some(parts.len());
                        }
                        parts.push(Part::Word(pieces));
                    }
                },
                Word::Fields(filter) => {
                    put_fixed(&mut parts, &mut fixed);
                    parts.push(Part::Fields(filter));
                }
            }
        }
        put_fixed(&mut parts, &mut fixed);
        Template { parts, words: has_fields.then_some(count), key }
    }

    /// Appends the command for a record.
    pub(crate) fn render(&self, row: &impl Row, keys: &mut KeyRules, made: &mut Made) -> Result<(), String> {
        let start = made.buffer.len();
        if let Some(words) = self.words {
            self.put_header(words, row, &mut made.buffer)?;
        }
        let mut key = None;
        for (at, part) in self.parts.iter().enumerate() {
            match part {
                Part::Fixed(bytes) => made.buffer.extend_from_slice(bytes),
                Part::Word(pieces) => {
                    let len = put_word(pieces, row, made.number, &mut made.buffer)?;
                    if self.key == Some(at) {
                        let end = made.buffer.len() - 2 - start;
                        key = Some(end - len..end);
                    }
                }
                Part::Fields(filter) => row.each(filter, &mut |name, value| {
                    put_bulk(&mut made.buffer, name);
                    put_bulk(&mut made.buffer, value);
                }),
            }
        }
        let frame = start..made.buffer.len();
        if self.key.is_none() && made.wants_keys {
            key = statement::first_key(&made.buffer[frame.clone()], keys);
        }
        made.spans.push(Span { frame, key, is_unit: false });
        Ok(())
    }

    pub(crate) fn wants_all_fields(&self) -> bool {
        self.words.is_some()
    }

    fn put_header(&self, words: usize, row: &impl Row, out: &mut Vec<u8>) -> Result<(), String> {
        let mut fields = 0;
        for part in &self.parts {
            if let Part::Fields(filter) = part {
                row.each(filter, &mut |_, _| fields += 1);
            }
        }
        if fields == 0 {
            return Err("the record has no fields".to_owned());
        }
        put_array_header(out, words + 2 * fields);
        Ok(())
    }
}

/// The words so far, if there are any.
fn put_fixed(parts: &mut Vec<Part>, fixed: &mut Vec<u8>) {
    if !fixed.is_empty() {
        parts.push(Part::Fixed(std::mem::take(fixed)));
    }
}

fn wanted_arguments(arity: isize) -> String {
    let count = arity.unsigned_abs() - 1;
    if arity < 0 { format!("at least {count}") } else { count.to_string() }
}

/// Writes a word; answers its length without what stands around it.
#[inline]
fn put_word(pieces: &[Piece], row: &impl Row, number: u64, out: &mut Vec<u8>) -> Result<usize, String> {
    if let [piece @ Piece::Field { .. }] = pieces {
        let value = value(piece, row)?;
        put_bulk(out, value);
        return Ok(value.len());
    }
    let mut len = 0;
    for piece in pieces {
        len += match piece {
            Piece::Number => u64_len(number),
            _ => value(piece, row)?.len(),
        };
    }
    out.reserve(array_header_len(len) + len + 2);
    put_bulk_header(out, len);
    for piece in pieces {
        match piece {
            Piece::Number => out.extend_from_slice(number.to_string().as_bytes()),
            _ => out.extend_from_slice(value(piece, row)?),
        }
    }
    out.extend_from_slice(b"\r\n");
    Ok(len)
}

#[inline]
fn value<'v>(piece: &'v Piece, row: &'v impl Row) -> Result<&'v [u8], String> {
    match piece {
        Piece::Text(text) => Ok(text),
        Piece::Field { at, default } => match (row.value(*at), default) {
            (Some(value), None) => Ok(value),
            (Some(value), Some(_)) if !value.is_empty() => Ok(value),
            (_, Some(default)) => Ok(default),
            (None, None) => Err(row.missing(*at)),
        },
        Piece::Source => Ok(row.source()),
        Piece::Number => Ok(b""),
    }
}

/// Reads the text of a template.
struct Reader<'t> {
    line: &'t [u8],
    at: usize,
    wanted: &'t mut Wanted,
}

impl Reader<'_> {
    fn words(&mut self) -> Result<Vec<Word>, String> {
        let mut words = Vec::new();
        loop {
            while self.line.get(self.at).is_some_and(|&byte| is_space(byte)) {
                self.at += 1;
            }
            if self.at == self.line.len() {
                return Ok(words);
            }
            words.push(Word::Pieces(self.word()?));
        }
    }

    fn word(&mut self) -> Result<Vec<Piece>, String> {
        let mut pieces = Vec::new();
        while let Some(&byte) = self.line.get(self.at).filter(|&&byte| !is_space(byte)) {
            if byte == b'"' || byte == b'\'' {
                self.quoted(byte, &mut pieces)?;
            } else if !self.place(&mut pieces)? {
                push(&mut pieces, byte);
                self.at += 1;
            }
        }
        Ok(pieces)
    }

    fn quoted(&mut self, quote: u8, pieces: &mut Vec<Piece>) -> Result<(), String> {
        let open = self.at;
        self.at += 1;
        loop {
            if self.place(pieces)? {
                continue;
            }
            let Some((byte, next)) = unescaped(self.line, self.at, quote) else {
                return Err(format!("the quote at character {} is not closed", open + 1));
            };
            self.at = next;
            match byte {
                Some(byte) => push(pieces, byte),
                None if self.line.get(self.at).is_some_and(|&byte| !is_space(byte)) => {
                    return Err(format!("a space must follow the closing quote at character {}", self.at));
                }
                None => return Ok(()),
            }
        }
    }

    /// Reads `#{…}`, if that is here.
    fn place(&mut self, pieces: &mut Vec<Piece>) -> Result<bool, String> {
        let rest = &self.line[self.at..];
        if !rest.starts_with(b"#{") {
            return Ok(false);
        }
        let Some(close) = memchr::memchr(b'}', rest) else {
            return Err(format!("the #{{ at character {} is not closed with }}", self.at + 1));
        };
        // The line was a `str`, and what is cut at ASCII characters still is.
        let inside = String::from_utf8_lossy(&rest[2..close]).into_owned();
        pieces.push(self.piece(&inside)?);
        self.at += close + 1;
        Ok(true)
    }

    fn piece(&mut self, inside: &str) -> Result<Piece, String> {
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default.as_bytes().to_vec())),
            None => (inside, None),
        };
        match name {
            "@record" => Ok(Piece::Number),
            "@source" => Ok(Piece::Source),
            "" => Err("#{} names no field".to_owned()),
            _ if name.starts_with('@') => Err(format!(
                "#{{{name}}} is not known; there are #{{@record}}, its number, and #{{@source}}, its text"
            )),
            _ if name.starts_with('#') => {
                Err(format!("#{{{name}}}: lengths are not supported; #{{{}}} is the value", &name[1..]))
            }
            _ => {
                let at = self.wanted.place_of(name)?;
                Ok(Piece::Field { at, default })
            }
        }
    }
}

/// Appends a character to a word.
fn push(pieces: &mut Vec<Piece>, byte: u8) {
    match pieces.last_mut() {
        Some(Piece::Text(text)) => text.push(byte),
        _ => pieces.push(Piece::Text(vec![byte])),
    }
}
