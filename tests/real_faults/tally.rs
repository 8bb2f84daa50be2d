//! What a case counted, and the tables that all of them make: one for each server.

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
    /// FencedReconnect is on.
    pub(crate) fenced: bool,
    pub(crate) violations: u64,
    /// The first of them.
    pub(crate) told: Vec<String>,
    /// Errors by kind.
    pub(crate) errors: BTreeMap<String, u64>,
    /// How long it took until all was served again.
    pub(crate) recovery: String,
    /// The most of something that was seen.
    peaks: BTreeMap<String, f64>,
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

    /// A write in doubt ran behind a later command.
    pub(crate) fn ran_late(&mut self, what: impl FnOnce() -> String) {
        self.zombies += 1;
        self.check(!self.fenced, || format!("{}, in spite of FencedReconnect", what()));
    }

    /// Of all values of this name, the highest is told.
    pub(crate) fn peak(&mut self, name: impl Into<String>, value: f64) {
        let peak = self.peaks.entry(name.into()).or_default();
        *peak = peak.max(value);
    }

    /// What was counted elsewhere for the same case.
    pub(crate) fn add(&mut self, other: Tally) {
        self.cycles += other.cycles;
        self.commands += other.commands;
        self.executed += other.executed;
        self.not_executed += other.not_executed;
        self.unknown += other.unknown;
        self.reply_lost += other.reply_lost;
        self.overtaken += other.overtaken;
        self.lost_by_server += other.lost_by_server;
        self.zombies += other.zombies;
        self.violations += other.violations;
        self.told.extend(other.told);
        self.notes.extend(other.notes);
        for (name, count) in other.errors {
            *self.errors.entry(name).or_default() += count;
        }
        for (name, value) in other.peaks {
            self.peak(name, value);
        }
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
            // Those that were overtaken have a column of their own.
            tally.not_executed.saturating_sub(tally.overtaken),
            tally.unknown,
            tally.overtaken,
            tally.reply_lost,
            tally.lost_by_server,
            tally.zombies,
            tally.violations,
        ];
        let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
        format!("| {} | {} | {} | {} |", self.case, numbers.join(" | "), tally.recovery, self.seconds)
    }

    /// What the table has no room for.
    pub(crate) fn remarks(&self) -> String {
        let mut remarks = self.tally.notes.clone();
        remarks.extend(self.tally.peaks.iter().map(|(name, value)| format!("{name}: {value:.1} at most")));
        remarks.extend(self.tally.errors.iter().map(|(name, count)| format!("{count} {name}")));
        remarks.extend(self.panicked.iter().map(|panic| format!("**panicked**: {panic}")));
        remarks.extend(self.tally.told.iter().map(|told| format!("**violation**: {told}")));
        remarks.join("; ").replace(['\n', '|'], " ")
    }
}

const HEAD: &str = "\
| case | cycles | commands | executed | rejected | Unknown | Overtaken | reply lost | lost by the server | ran late | violations | served again after | s |
|---|---|---|---|---|---|---|---|---|---|---|---|---|
";

/// All lines, as Markdown: a table for each server, and the remarks behind it.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut servers: Vec<&str> = rows.iter().map(|row| row.server).collect();
    servers.dedup();
    let table = |server: &str| {
        let own = || rows.iter().filter(|row| row.server == server);
        let lines: String = own().map(|row| row.line() + "\n").collect();
        let remarks: String = own().map(|row| format!("* {}: {}\n", row.case, row.remarks())).collect();
        format!("### {server}\n\n{HEAD}{lines}\n{remarks}")
    };
    servers.into_iter().map(table).collect::<Vec<_>>().join("\n")
}

/// `0.3 s, worst 1.2 s`; nothing for no values.
pub(crate) fn median_and_worst(values: &mut [f64]) -> String {
    values.sort_unstable_by(f64::total_cmp);
    let median = values.get(values.len() / 2);
    let both = median.zip(values.last());
    both.map_or_else(String::new, |(median, worst)| format!("{median:.1} s, worst {worst:.1} s"))
}
