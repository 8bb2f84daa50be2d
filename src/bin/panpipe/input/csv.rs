//! The formats `csv`, `tsv` and `psv`: fields with names or numbers, parted by one character.
//!
//! Quotes may stand around a field, and hold delimiters, line ends and doubled quotes (RFC 4180). Values are bytes. Blank lines are no
//! records. Invariant: every record has as many fields as there are names.

use crate::input::csv_record::{Read, Record, blank, fill};
use crate::input::decode::Plain;
use crate::input::error::InputError;
use crate::input::fields::{FieldFilter, Row, column};
use crate::input::found::{Found, Made};
use crate::input::key_rule::KeyRules;
use crate::input::lines::without_line_end;
use crate::input::options::{Format, InputOptions};
use crate::input::program::{Program, nothing_to_do};
use crate::input::window::Window;

/// Reads records of fields.
pub(crate) struct Delimited {
    record: Record,
    names: Vec<String>,
    /// Of each wanted field, its place among all.
    columns: Vec<usize>,
    program: Program,
}

impl Delimited {
    /// Reads what is above the records, and checks the names against it.
    pub(crate) fn open(
        format: Format,
        plain: &mut Plain,
        window: &mut Window,
        options: &InputOptions,
    ) -> Result<Delimited, InputError> {
        let mut record = Record::new(format, options);
        for line in 0..options.skip_lines {
            if !skip_line(plain, window)? {
                return Err(InputError::input(format!(
                    "--skip-lines {}: there are {line} lines",
                    options.skip_lines
                )));
            }
        }
        let first = record.look_ahead(plain, window, options.record_bytes_max)?;
        let line: Vec<String> = record
            .values(window.bytes())
            .map(|value| String::from_utf8_lossy(value).trim().to_owned())
            .collect();
        let told = record.values(window.bytes()).map(crate::output::excerpt).collect::<Vec<_>>().join(" ");
        record.restart();
        let program = Program::parse(options)?;
        // Names that the commands use and the first line has are no accident.
        let is_named =
            options.fields.is_empty() && program.as_ref().is_some_and(|program| program.is_about(&line));
        if let Some(bytes) = first
            && (options.header || is_named)
        {
            window.consume(bytes);
        }
        let names = match first {
            _ if !options.fields.is_empty() => options.fields.clone(),
            _ if options.header || is_named => line.clone(),
            _ => (1..=line.len()).map(|number| number.to_string()).collect(),
        };
        let Some(program) = program else {
            let looks_named = options.fields.is_empty() && line.iter().all(|name| is_like_a_name(name));
            return Err(nothing_to_do(options, if looks_named { &line } else { &names }));
        };
        let unnamed = !options.header && !is_named && options.fields.is_empty();
        let hint = |error: InputError| {
            if !unnamed {
                return error;
            }
            error.hint(format!("If the first line names the fields, add --header. It is: {told}"))
        };
        let columns = if first.is_none() && names.is_empty() {
            // No record at all: there is nothing that a name could be wrong about.
            vec![0; program.wanted.names.len()]
        } else {
            for name in &program.named {
                column(name, &names).map_err(hint)?;
            }
            program.wanted.columns(&names).map_err(hint)?
        };
        Ok(Delimited { record, names, columns, program })
    }

    pub(crate) fn find(&mut self, bytes: &[u8], at_end: bool, keys: &mut KeyRules, made: &mut Made) -> Found {
        if self.record.taken == 0 {
            let blank = blank(bytes);
            if blank > 0 {
                return Found::Nothing { len: blank };
            }
        }
        let read = self.record.read(bytes, at_end);
        let len = self.record.taken;
        let fields = self.record.fields;
        match read {
            Read::More => return Found::More,
            Read::End => return Found::End,
            Read::Whole | Read::Open => {}
        }
        let source = without_line_end(bytes.get(..len).unwrap_or_default());
        let found = if matches!(read, Read::Open) {
            Found::bad(0, len, "a quote that is opened in this record is not closed before the input ends")
        } else if fields != self.names.len() {
            Found::bad(0, len, format!("{fields} fields where {} are expected", self.names.len()))
        } else {
            let row = Fields { record: &self.record, names: &self.names, columns: &self.columns, source };
            self.program.make(&row, (0, len), keys, made)
        };
        self.record.reset();
        found
    }

    /// The next byte is another record's first.
    pub(crate) fn resume(&mut self) {
        self.record.restart();
    }
}

/// Whether it is more likely to name a field than to be a value of it.
fn is_like_a_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

fn skip_line(plain: &mut Plain, window: &mut Window) -> Result<bool, InputError> {
    loop {
        if let Some(end) = memchr::memchr(b'\n', window.bytes()) {
            window.consume(end + 1);
            return Ok(true);
        }
        if window.at_end {
            return Ok(false);
        }
        window.consume(window.bytes().len());
        fill(plain, window)?;
    }
}

/// The fields of a record by their names.
struct Fields<'a> {
    record: &'a Record,
    names: &'a [String],
    columns: &'a [usize],
    source: &'a [u8],
}

impl Row for Fields<'_> {
    #[inline]
    fn value(&self, at: usize) -> Option<&[u8]> {
        self.record.value(*self.columns.get(at)?, self.source)
    }

    fn each(&self, filter: &FieldFilter, take: &mut dyn FnMut(&[u8], &[u8])) {
        for (name, value) in self.names.iter().zip(self.record.values(self.source)) {
            if filter.takes(name.as_bytes()) {
                take(name.as_bytes(), value);
            }
        }
    }

    fn source(&self) -> &[u8] {
        self.source
    }

    fn missing(&self, _: usize) -> String {
        "the record has too few fields".to_owned()
    }
}
