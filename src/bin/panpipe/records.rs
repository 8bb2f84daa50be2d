//! The records of the demonstration: one a line, the first field names it.
//!
//! Refuses to know what the fields mean: a record's value is its line, byte for byte.
//! Invariant: no two records have the same key.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::Read;
use std::ops::Range;

use crate::failure::Failure;

/// 3,322 aircraft from a public registry; see examples/data/README.md for the source.
const BUILT_IN: &str = include_str!("../../../examples/data/planes.csv");

/// A longer first field is text, not a name.
const NAME_BYTES_MAX: usize = 120;

/// One record.
#[derive(Debug)]
pub(crate) struct Record {
    /// Its line in the file, from 1.
    pub(crate) line: usize,
    pub(crate) key: Vec<u8>,
    value: Range<usize>,
}

/// All records of one file.
#[derive(Debug)]
pub(crate) struct Records {
    /// Where they are from, for a person.
    pub(crate) origin: String,
    text: Cow<'static, [u8]>,
    pub(crate) rows: Vec<Record>,
    /// Records that have their line number in the key because the first field alone was empty, too long or taken.
    pub(crate) numbered: usize,
}

impl Records {
    pub(crate) fn value(&self, record: &Record) -> &[u8] {
        self.text.get(record.value.clone()).unwrap_or_default()
    }

    /// The bytes of all values.
    pub(crate) fn value_bytes(&self) -> usize {
        self.rows.iter().map(|record| record.value.len()).sum()
    }
}

/// Which lines are records, and what their keys begin with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) prefix: &'a str,
    /// The first line names the columns and is no record.
    pub(crate) header: bool,
    /// At most so many records.
    pub(crate) limit: usize,
}

/// The data set that ships with panpipe.
pub(crate) fn built_in(reading: Reading<'_>) -> Records {
    parse("planes.csv, built in".to_owned(), Cow::Borrowed(BUILT_IN.as_bytes()), reading)
}

/// Reads a file; `-` is standard input.
pub(crate) fn from_file(path: &str, reading: Reading<'_>) -> Result<Records, Failure> {
    let mut text = Vec::new();
    let read = if path == "-" {
        std::io::stdin().lock().read_to_end(&mut text).map(|_| ())
    } else {
        std::fs::read(path).map(|bytes| text = bytes)
    };
    let name = if path == "-" { "standard input" } else { path };
    read.map_err(|error| {
        Failure::input(format!("--input: cannot read {name}: {error}"))
            .hint("Give a text file with one record a line, or leave --input out for the data that ships with panpipe")
    })?;
    let records = parse(name.to_owned(), Cow::Owned(text), reading);
    if records.rows.is_empty() {
        let lines = if reading.header { "no line after the header line" } else { "no line" };
        let failure = Failure::input(format!("--input: {name} has no records: {lines}"));
        return Err(if reading.header {
            failure.hint("If the first line is a record, add --no-header")
        } else {
            failure
        });
    }
    Ok(records)
}

fn parse(origin: String, text: Cow<'static, [u8]>, reading: Reading<'_>) -> Records {
    let mut rows = Vec::new();
    let mut numbered = 0;
    let mut taken = HashSet::new();
    let mut start = if text.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
    let mut line = 0;
    while start < text.len() && rows.len() < reading.limit {
        let rest = &text[start..];
        let len = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
        let value = rest[..len].strip_suffix(b"\r").unwrap_or(&rest[..len]);
        line += 1;
        let is_header = reading.header && line == 1;
        if !value.is_empty() && !is_header {
            let name = first_field(value);
            let mut key = [reading.prefix.as_bytes(), name].concat();
            if name.is_empty() || name.len() > NAME_BYTES_MAX || taken.contains(&key) {
                key = format!("{}line-{line}", reading.prefix).into_bytes();
                numbered += 1;
            }
            // A record may be called like the stand-in of an earlier one; then the line gets more of them.
            while !taken.insert(key.clone()) {
                key.push(b'\'');
            }
            rows.push(Record { line, key, value: start..start + value.len() });
        }
        start += len + 1;
    }
    Records { origin, text, rows, numbered }
}

/// The text before the first separator, without the quotes around it.
fn first_field(line: &[u8]) -> &[u8] {
    if let Some(quoted) = line.strip_prefix(b"\"") {
        let end = quoted.iter().position(|&byte| byte == b'"').unwrap_or(quoted.len());
        return &quoted[..end];
    }
    let end = line.iter().position(|byte| b",;\t".contains(byte)).unwrap_or(line.len());
    line[..end].trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    const READING: Reading<'_> = Reading { prefix: "p:", header: true, limit: usize::MAX };

    fn keys(text: &'static str, reading: Reading<'_>) -> Vec<String> {
        let records = parse(String::new(), Cow::Borrowed(text.as_bytes()), reading);
        records.rows.iter().map(|record| String::from_utf8_lossy(&record.key).into_owned()).collect()
    }

    #[test]
    fn the_built_in_data_is_whole() {
        let records = built_in(READING);
        assert_eq!(records.rows.len(), 3322);
        assert_eq!(records.numbered, 0, "tail numbers are unique");
        assert_eq!(records.rows[0].key, b"p:N10156");
        assert!(records.value(&records.rows[0]).starts_with(b"N10156,2004,"));
        assert_eq!(records.rows[0].line, 2);
    }

    #[test]
    fn the_first_field_names_the_record() {
        assert_eq!(
            keys("h\na,1\r\n\"b c\",2\nd\t3\n e ;4\nword\n", READING),
            ["p:a", "p:b c", "p:d", "p:e", "p:word"]
        );
    }

    #[test]
    fn records_without_a_name_of_their_own_get_their_line_number() {
        assert_eq!(keys("h\na,1\na,2\n,3\n\na,4", READING), ["p:a", "p:line-3", "p:line-4", "p:line-6"]);
        assert_eq!(keys("h\nline-3,1\nx,1\nx,2\n", READING), ["p:line-3", "p:x", "p:line-4"]);
        assert_eq!(keys("h\nline-3,1\nline-3,2\n", READING), ["p:line-3", "p:line-3'"]);
    }

    #[test]
    fn values_are_the_lines_as_they_are() {
        let records = parse(String::new(), Cow::Borrowed(b"\xef\xbb\xbfh\na, \xff\r\nb"), READING);
        let values: Vec<&[u8]> = records.rows.iter().map(|record| records.value(record)).collect();
        assert_eq!(values, [b"a, \xff".as_slice(), b"b"]);
    }

    #[test]
    fn header_and_limit_are_optional() {
        assert_eq!(keys("a\nb\nc\n", Reading { header: false, limit: 2, ..READING }), ["p:a", "p:b"]);
    }
}
