//! The format `commands`: one command a line, quoted as for redis-cli.
//!
//! Blank lines and lines that begin with `#` are left out. MULTI .. EXEC and SELECT are treated as in `resp`.

use crate::input::found::{Found, Made};
use crate::input::key_rule::KeyRules;
use crate::input::lines::{Line, Lines};
use crate::input::quoting::Words;
use crate::input::statement::{self, Statement};

/// Reads lines of words.
pub(crate) struct CommandLines {
    pub(crate) lines: Lines,
    words: Words,
    statement: Statement,
}

impl CommandLines {
    pub(crate) fn new(record_bytes_max: usize) -> CommandLines {
        let statement = Statement::new(record_bytes_max);
        CommandLines { lines: Lines::default(), words: Words::default(), statement }
    }

    /// Between MULTI and EXEC.
    pub(crate) fn is_within(&self) -> bool {
        self.statement.is_within()
    }

    pub(crate) fn find(&mut self, bytes: &[u8], at_end: bool, keys: &mut KeyRules, made: &mut Made) -> Found {
        let (len, content) = match self.lines.find(bytes, at_end) {
            Line::Whole { len, content } => (len, content),
            Line::Nothing { len } => return Found::Nothing { len },
            Line::More => return Found::More,
            Line::End => return self.statement.end(made),
        };
        let line = bytes.get(..content).unwrap_or_default();
        if line.starts_with(b"#") {
            return Found::Nothing { len };
        }
        made.clear();
        if let Err(reason) = self.words.split(line) {
            return self.statement.take_unreadable(len, reason);
        }
        if self.words.ends.is_empty() {
            return Found::Nothing { len };
        }
        statement::encode(&self.words, &mut made.buffer);
        self.statement.take_written(len, keys, made)
    }
}
