//! Reading a file and doing nothing with it: what CSV and JSON lines cost before anything is sent.
//!
//! As quick as the crates are by their own means: large reads, one record that is filled again and again. Values are looked at only so far
//! that their bytes are known.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde::de::{Deserializer as _, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

pub(super) const CSV: &str = "csv";
pub(super) const JSON: &str = "json";
pub(super) const JSON_TYPED: &str = "json-typed";

/// As `panpipe import` reads.
const READ_BYTES: usize = 256 << 10;

/// The csv crate: every record split into its fields.
pub(super) fn csv(path: &Path) -> Result<u64> {
    let mut reader = csv::ReaderBuilder::new().buffer_capacity(READ_BYTES).from_path(path)?;
    let mut record = csv::ByteRecord::new();
    let mut records = 0;
    while reader.read_byte_record(&mut record)? {
        black_box((&record[0], &record[1]));
        records += 1;
    }
    Ok(records)
}

/// serde_json for members that only the command line names, and values of any kind: a visitor compares the names, and takes the text of
/// the values as it stands there, so that no number loses digits. Whoever takes a template has to do this much.
pub(super) fn json(path: &Path) -> Result<u64> {
    let wanted = black_box(["key".to_owned(), "value".to_owned()]);
    lines(path, |line| {
        let mut deserializer = serde_json::Deserializer::from_slice(line);
        let values = deserializer.deserialize_map(Members { wanted: &wanted })?;
        deserializer.end()?;
        black_box(values);
        Ok(())
    })
}

/// serde_json for who knows the members beforehand.
pub(super) fn json_typed(path: &Path) -> Result<u64> {
    lines(path, |line| {
        let record: Typed = serde_json::from_slice(line)?;
        black_box((&record.key, &record.value));
        Ok(())
    })
}

fn lines(path: &Path, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<u64> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut reader = BufReader::with_capacity(READ_BYTES, file);
    let mut line = Vec::new();
    let mut records = 0;
    while reader.read_until(b'\n', &mut line)? > 0 {
        take(&line)?;
        line.clear();
        records += 1;
    }
    Ok(records)
}

#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    value: Cow<'a, str>,
}

/// Takes the wanted members of an object.
struct Members<'w> {
    wanted: &'w [String; 2],
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = [Cow<'de, str>; 2];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = [Cow::Borrowed(""), Cow::Borrowed("")];
        while let Some(Name(name)) = map.next_key()? {
            let json: &RawValue = map.next_value()?;
            if let Some(at) = self.wanted.iter().position(|wanted| *wanted == name) {
                values[at] = text(json.get()).map_err(A::Error::custom)?;
            }
        }
        Ok(values)
    }
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// A text without its quotes; anything else as it stands there.
fn text(json: &str) -> serde_json::Result<Cow<'_, str>> {
    match json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inside) if !inside.contains('\\') => Ok(Cow::Borrowed(inside)),
        Some(_) => serde_json::from_str::<String>(json).map(Cow::Owned),
        None => Ok(Cow::Borrowed(json)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_records_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        assert_eq!(csv(&path("a.csv", "key,value\na,1\n\"b,\",2\n")).unwrap(), 2);
        let json_lines =
            path("a.jsonl", "{\"key\":\"a\",\"value\":\"1\"}\n{\"value\":\"\\u0062\",\"key\":\"b\"}\n");
        assert_eq!((json(&json_lines).unwrap(), json_typed(&json_lines).unwrap()), (2, 2));
        let broken = path("b.jsonl", "{\"key\":\"a\",\"value\":1} x\n");
        assert!(json(&broken).is_err() && json_typed(&broken).is_err());
    }

    #[test]
    fn values_are_what_a_command_would_get() {
        let values = |json: &str| {
            let wanted = ["key".to_owned(), "value".to_owned()];
            let mut deserializer = serde_json::Deserializer::from_str(json);
            deserializer.deserialize_map(Members { wanted: &wanted }).unwrap().map(Cow::into_owned)
        };
        assert_eq!(values(r#"{"key":"a\nb","other":[1],"value":1.50}"#), ["a\nb", "1.50"]);
    }
}
