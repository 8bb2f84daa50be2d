//! What a case counted, and the table that all of them make.

use std::collections::BTreeMap;

use panpipe::{Error, ErrorKind, Outcome};

/// How many violations are told in full.
const TOLD_MAX: usize = 5;

/// Sums over one case.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) cycles: u64,
    pub(crate) commands: u64,
    pub(crate) executed: u64,
    pub(crate) not_executed: u64,
    pub(crate) unknown: u64,
    pub(crate) reply_lost: u64,
    pub(crate) overtaken: u64,
    /// Writes that a server acknowledged and the promoted replica did not have.
    pub(crate) lost_by_server: u64,
    /// Writes with outcome `Unknown` that ran after later ones: allowed, unless FencedReconnect is on.
    pub(crate) zombies: u64,
    pub(crate) violations: u64,
    /// The first of them.
    pub(crate) told: Vec<String>,
    /// Errors by kind.
    pub(crate) errors: BTreeMap<String, u64>,
    /// What else there is to say.
    pub(crate) notes: Vec<String>,
}

impl Tally {
    pub(crate) fn violation(&mut self, what: impl Into<String>) {
        self.violations += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(what.into());
        }
    }

    /// Where the condition does not hold, a violation.
    pub(crate) fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.violation(what());
        }
    }

    pub(crate) fn note(&mut self, what: impl Into<String>) {
        self.notes.push(what.into());
    }

    pub(crate) fn count_error(&mut self, error: &Error) {
        match error.outcome() {
            Outcome::Executed => self.executed += 1,
            Outcome::NotExecuted => self.not_executed += 1,
            Outcome::Unknown => self.unknown += 1,
            Outcome::ExecutedReplyLost => self.reply_lost += 1,
        }
        self.overtaken += u64::from(is_overtaken(error));
        *self.errors.entry(name_of(error)).or_default() += 1;
    }
}

pub(crate) fn is_overtaken(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Overtaken { .. })
}

/// The kind without its particulars; the code, where the server speaks.
pub(crate) fn name_of(error: &Error) -> String {
    if let Some(server) = error.server() {
        return server.code().to_owned();
    }
    let debug = format!("{:?}", error.kind());
    debug.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) server: &'static str,
    pub(crate) tally: Tally,
    pub(crate) seconds: u64,
    /// The case ended by a panic.
    pub(crate) panicked: Option<String>,
}

impl Row {
    pub(crate) fn is_good(&self) -> bool {
        self.panicked.is_none() && self.tally.violations == 0
    }

    /// Its line of the table.
    pub(crate) fn line(&self) -> String {
        let tally = &self.tally;
        let numbers = [
            tally.cycles,
            tally.commands,
            tally.executed,
            tally.unknown,
            tally.not_executed,
            tally.reply_lost,
            tally.overtaken,
            tally.lost_by_server,
            tally.zombies,
            tally.violations,
            self.seconds,
        ];
        let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
        format!("| {} | {} | {} | {} |", self.case, self.server, numbers.join(" | "), self.remarks())
    }

    fn remarks(&self) -> String {
        let mut remarks = self.tally.notes.clone();
        remarks.extend(self.tally.errors.iter().map(|(name, count)| format!("{count} {name}")));
        remarks.extend(self.panicked.iter().map(|panic| format!("**panicked**: {panic}")));
        remarks.extend(self.tally.told.iter().map(|told| format!("**violation**: {told}")));
        remarks.join("; ").replace(['\n', '|'], " ")
    }
}

/// All lines, as Markdown.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut table = String::from(
        "| case | server | cycles | commands | executed | Unknown | NotExecuted | reply lost | Overtaken | lost by the server | ran late | violations | s | remarks |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        table.push_str(&row.line());
        table.push('\n');
    }
    table
}
