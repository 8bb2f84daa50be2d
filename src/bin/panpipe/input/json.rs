//! The formats `jsonl`, one object a line, and `json`, an array of objects or objects one behind the other.
//!
//! Knows where an object ends; what is in it is `json_fields`'. Invariant: an array is never in memory as a whole; where the text between two
//! objects is none that may stand there, the input ends, as no later place can be trusted.

use crate::input::decode::Plain;
use crate::input::error::InputError;
use crate::input::found::{Found, Made};
use crate::input::json_fields::ObjectFields;
use crate::input::key_rule::KeyRules;
use crate::input::lines::{Line, Lines};
use crate::input::options::{Format, InputOptions};
use crate::input::program::{Program, nothing_to_do};
use crate::input::source::Took;
use crate::input::window::Window;

/// Where objects are found.
enum Shape {
    Lines(Lines),
    Text(Text),
}

/// Reads objects.
pub(crate) struct Json {
    shape: Shape,
    fields: ObjectFields,
    program: Program,
}

impl Json {
    pub(crate) fn open(
        format: Format,
        plain: &mut Plain,
        window: &mut Window,
        options: &InputOptions,
    ) -> Result<Json, InputError> {
        let mut shape = match format {
            Format::Jsonl => Shape::Lines(Lines::default()),
            _ => Shape::Text(Text::open(plain, window)?),
        };
        let Some(program) = Program::parse(options)? else {
            let names = first_names(&mut shape, plain, window, options)?;
            return Err(nothing_to_do(options, &names));
        };
        let fields = ObjectFields::new(&program.wanted, program.wants_all_fields());
        Ok(Json { shape, fields, program })
    }

    pub(crate) fn find(&mut self, bytes: &[u8], at_end: bool, keys: &mut KeyRules, made: &mut Made) -> Found {
        let (before, content, len) = match self.shape.find(bytes, at_end) {
            Ok(object) => object,
            Err(found) => return found,
        };
        let source = bytes.get(before..before + content).unwrap_or_default();
        match self.fields.read(source.trim_ascii()) {
            Ok(()) => self.program.make(&self.fields.row(source), (before, len), keys, made),
            Err(reason) => Found::Bad { before, len, reason },
        }
    }

    /// Whether the array has ended, or has no element yet: to go on behind that would need to know it.
    pub(crate) fn is_within(&self) -> bool {
        matches!(&self.shape, Shape::Text(text) if matches!(text.expected, Expected::Nothing | Expected::First))
    }

    /// Gives up the line at the front, where objects are lines.
    pub(crate) fn skip_line(&mut self) -> bool {
        match &mut self.shape {
            Shape::Lines(lines) => {
                lines.skip();
                true
            }
            Shape::Text(_) => false,
        }
    }

    pub(crate) fn is_skipping(&self) -> bool {
        matches!(&self.shape, Shape::Lines(lines) if lines.skipping)
    }

    /// The next byte is behind another record.
    pub(crate) fn resume(&mut self) {
        match &mut self.shape {
            Shape::Lines(lines) => *lines = Lines::default(),
            Shape::Text(text) => text.resume(),
        }
    }
}

impl Shape {
    /// Bytes before the object, its bytes, and those with a line end.
    fn find(&mut self, bytes: &[u8], at_end: bool) -> Result<(usize, usize, usize), Found> {
        match self {
            Shape::Lines(lines) => match lines.find(bytes, at_end) {
                Line::Whole { len, content } => {
                    let line = bytes.get(..content).unwrap_or_default();
                    let is_blank = line.trim_ascii().is_empty();
                    if is_blank { Err(Found::Nothing { len }) } else { Ok((0, content, len)) }
                }
                Line::Nothing { len } => Err(Found::Nothing { len }),
                Line::More => Err(Found::More),
                Line::End => Err(Found::End),
            },
            Shape::Text(text) => text.find(bytes, at_end).map(|(before, len)| (before, len, len)),
        }
    }
}

/// The names of the first object's fields, if there is one. What cannot be read is told by whoever reads it.
fn first_names(
    shape: &mut Shape,
    plain: &mut Plain,
    window: &mut Window,
    options: &InputOptions,
) -> Result<Vec<String>, InputError> {
    loop {
        match shape.find(window.bytes(), window.at_end) {
            Ok((before, content, _)) => {
                let object = window.bytes().get(before..before + content).unwrap_or_default();
                return Ok(ObjectFields::names_of(object.trim_ascii()).unwrap_or_default());
            }
            Err(Found::Nothing { len }) => window.consume(len),
            Err(Found::More) if window.bytes().len() < options.record_bytes_max => {
                match window.look_ahead(plain)? {
                    Took::Waiting => plain.source.wait(super::LONG_WAIT),
                    Took::End if !window.at_end => return Ok(Vec::new()),
                    _ => {}
                }
            }
            Err(_) => return Ok(Vec::new()),
        }
    }
}

/// What may stand in front of the next object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// White space: objects one behind the other.
    Object,
    /// Behind `[`: an element, or the end of an array without any.
    First,
    /// Behind an element: `,` and an element, or `]`.
    More,
    /// Behind `]`: white space.
    Nothing,
}

/// Finds where the values of a JSON text end, whatever is in them.
struct Text {
    expected: Expected,
    is_array: bool,
    /// Of a value that goes on behind the window: how far it was looked through, how deep that is, and whether in a string.
    at: usize,
    depth: usize,
    in_string: bool,
}

impl Text {
    /// Looks whether it is an array.
    fn open(plain: &mut Plain, window: &mut Window) -> Result<Text, InputError> {
        let is_array = loop {
            window.consume(space(window.bytes()));
            match window.bytes().first().copied() {
                Some(byte) => break byte == b'[',
                None if window.at_end => break false,
                None if window.fill(plain)? == Took::Waiting => plain.source.wait(super::LONG_WAIT),
                None => {}
            }
        };
        let expected = if is_array { Expected::First } else { Expected::Object };
        window.consume(usize::from(is_array));
        Ok(Text { expected, is_array, at: 0, depth: 0, in_string: false })
    }

    fn resume(&mut self) {
        self.expected = if self.is_array { Expected::More } else { Expected::Object };
        (self.at, self.depth, self.in_string) = (0, 0, false);
    }

    /// Bytes before the next value, and its bytes.
    fn find(&mut self, bytes: &[u8], at_end: bool) -> Result<(usize, usize), Found> {
        if self.at == 0 {
            self.begin(bytes, at_end)?;
        }
        let before = if self.expected == Expected::More { comma(bytes) } else { 0 };
        let end = if matches!(bytes.get(before), Some(b'{' | b'[')) {
            self.bracketed_end(bytes)
        } else {
            self.scalar_end(bytes, at_end)
        };
        match end {
            Some(end) => {
                self.resume();
                Ok((before, end - before))
            }
            None if at_end => {
                let at = bytes.len();
                Err(Found::fatal(
                    before,
                    format!("the input is cut off: it ends {} bytes into this record", at - before),
                ))
            }
            None => Err(Found::More),
        }
    }

    /// Goes to the first byte of the next value.
    fn begin(&mut self, bytes: &[u8], at_end: bool) -> Result<(), Found> {
        let blank = space(bytes);
        if blank > 0 {
            return Err(Found::Nothing { len: blank });
        }
        let Some(&byte) = bytes.first() else {
            let is_whole = matches!(self.expected, Expected::Object | Expected::Nothing);
            return Err(match (at_end, is_whole) {
                (false, _) => Found::More,
                (true, true) => Found::End,
                (true, false) => Found::fatal(0, "the input is cut off: the array has no end"),
            });
        };
        let here = shown(bytes);
        match (self.expected, byte) {
            (Expected::First | Expected::More, b']') => {
                self.expected = Expected::Nothing;
                Err(Found::Nothing { len: 1 })
            }
            (Expected::More, b',') => {
                let before = comma(bytes);
                match bytes.get(before) {
                    Some(b',' | b']' | b'}' | b':') => Err(Found::fatal(
                        before,
                        format!("an element is missing: here is {}", shown(&bytes[before..])),
                    )),
                    Some(_) => {
                        self.at = before;
                        Ok(())
                    }
                    None if at_end => Err(Found::fatal(before, "the input is cut off: the array has no end")),
                    None => Err(Found::More),
                }
            }
            (Expected::More, _) => {
                Err(Found::fatal(0, format!("between two elements is a comma, and here is {here}")))
            }
            (Expected::Nothing, _) => {
                Err(Found::fatal(0, format!("nothing may stand behind the array, and here is {here}")))
            }
            (Expected::Object, b'{') | (Expected::First, _) if !b",]}:".contains(&byte) => Ok(()),
            _ => Err(Found::fatal(0, format!("an object begins with {{, and here is {here}"))),
        }
    }

    /// Where a value ends that has brackets around it.
    fn bracketed_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = self.at;
        while at < bytes.len() {
            if self.in_string {
                let found = memchr::memchr2(b'"', b'\\', &bytes[at..]).map(|found| at + found);
                at = match found {
                    Some(place) if bytes[place] == b'"' => {
                        self.in_string = false;
                        place + 1
                    }
                    // What is escaped may be behind the window.
                    Some(place) if place + 1 < bytes.len() => place + 2,
                    Some(place) => {
                        self.at = place;
                        return None;
                    }
                    None => bytes.len(),
                };
                continue;
            }
            match bytes[at] {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
            at += 1;
        }
        self.at = at;
        None
    }

    /// Where an element ends that is no object: it will be a bad record.
    fn scalar_end(&mut self, bytes: &[u8], at_end: bool) -> Option<usize> {
        let mut at = self.at;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'\\' if self.in_string && at + 1 == bytes.len() => break,
                b'\\' if self.in_string => at += 1,
                b'"' => self.in_string = !self.in_string,
                b',' | b']' if !self.in_string => return Some(at),
                _ => {}
            }
            at += 1;
        }
        self.at = at;
        if at_end && !self.is_array { Some(bytes.len()) } else { None }
    }
}

/// A byte, for a message; more may not be there yet.
fn shown(bytes: &[u8]) -> String {
    bytes.first().map_or_else(String::new, |byte| format!("'{}'", byte.escape_ascii()))
}

/// White space at the front.
fn space(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| b" \t\r\n".contains(byte)).count()
}

/// A comma at the front and the white space behind it.
fn comma(bytes: &[u8]) -> usize {
    match bytes.split_first() {
        Some((b',', rest)) => 1 + space(rest),
        _ => 0,
    }
}
