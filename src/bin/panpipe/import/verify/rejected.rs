//! The commands that were rejected, read off the reject file in step with the input.

use std::fs::File;
use std::io::{BufRead, BufReader};

use serde_json::Value;

use crate::failure::Failure;

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Written,
    NotWritten,
    /// It may have run.
    Unknown,
}

/// Goes through the reject file once; its entries are in the order of the input.
#[derive(Debug)]
pub(crate) struct Rejected {
    lines: Option<BufReader<File>>,
    path: String,
    next: Option<(u64, usize, Fate)>,
}

impl Rejected {
    /// Nothing was rejected.
    pub(crate) fn none() -> Rejected {
        Rejected { lines: None, path: String::new(), next: None }
    }

    pub(crate) fn open(path: &str) -> Result<Rejected, Failure> {
        let file =
            File::open(path).map_err(|error| Failure::input(format!("cannot read {path}: {error}")))?;
        let mut rejected = Rejected { lines: Some(BufReader::new(file)), path: path.to_owned(), next: None };
        rejected.advance()?;
        Ok(rejected)
    }

    /// What became of this command; to be asked in the order of the input.
    pub(super) fn outcome_of(&mut self, record: u64, command: usize) -> Result<Fate, Failure> {
        while let Some((next_record, next_command, fate)) = self.next {
            if (next_record, next_command) > (record, command) {
                break;
            }
            self.advance()?;
            if (next_record, next_command) == (record, command) {
                return Ok(fate);
            }
        }
        Ok(Fate::Written)
    }

    fn advance(&mut self) -> Result<(), Failure> {
        self.next = None;
        let Some(lines) = &mut self.lines else { return Ok(()) };
        let mut line = Vec::new();
        let cannot = |why: String| Failure::input(format!("cannot read {}: {why}", self.path));
        lines.read_until(b'\n', &mut line).map_err(|error| cannot(error.to_string()))?;
        if line.is_empty() {
            return Ok(());
        }
        let value: Value = serde_json::from_slice(&line).map_err(|error| cannot(error.to_string()))?;
        let number = |name: &str| value.get(name).and_then(Value::as_u64);
        let (Some(record), Some(command)) = (number("record"), number("command")) else {
            return Err(cannot("a line without record and command".to_owned()));
        };
        let fate = match value.get("outcome").and_then(Value::as_str) {
            Some("unknown" | "executed, reply lost") => Fate::Unknown,
            _ => Fate::NotWritten,
        };
        self.next = Some((record, command as usize, fate));
        Ok(())
    }
}
