//! A line on standard error that tells how far long work is. Silent where the work is short.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::output::count;

/// Work that ends before this shows nothing.
const SILENT: Duration = Duration::from_millis(400);
const TICK: Duration = Duration::from_millis(100);
/// Where nobody watches, a line now and then, for a log.
const LOG_TICK: Duration = Duration::from_secs(5);

/// How far the work is.
pub(crate) struct Progress {
    terminal: bool,
    /// What is counted.
    nouns: &'static str,
    total: u64,
    done: u64,
    began: Instant,
    next: Instant,
    /// Characters on the terminal's line now.
    shown: usize,
}

impl Progress {
    /// Work of so many commands.
    pub(crate) fn new(total: u64) -> Self {
        Progress::of(total, "commands")
    }

    /// Work of so many of anything.
    pub(crate) fn of(total: u64, nouns: &'static str) -> Self {
        let terminal = io::stderr().is_terminal();
        let began = Instant::now();
        let next = began + if terminal { SILENT } else { LOG_TICK };
        Progress { terminal, nouns, total, done: 0, began, next, shown: 0 }
    }

    /// So many steps more are done, in the part of the work with this name.
    pub(crate) fn advance(&mut self, steps: u64, part: &str) {
        self.done += steps;
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + if self.terminal { TICK } else { LOG_TICK };
        let percent = self.done * 100 / self.total.max(1);
        let seconds = (now - self.began).as_secs();
        let text = format!(
            "{percent:>3} %  {part}, {} of {} {}, {seconds} s",
            count(self.done),
            count(self.total),
            self.nouns
        );
        self.show(&text);
    }

    fn show(&mut self, text: &str) {
        let line = if self.terminal {
            let wipe = self.shown.saturating_sub(text.len());
            format!("\r{text}{:wipe$}", "")
        } else {
            format!("{text}\n")
        };
        self.shown = text.len();
        // Progress that nobody can read is no failure.
        let _ = io::stderr().write_all(line.as_bytes());
    }

    /// Wipes the line.
    pub(crate) fn clear(&mut self) {
        if self.terminal && self.shown > 0 {
            let _ = io::stderr().write_all(format!("\r{:1$}\r", "", self.shown).as_bytes());
            self.shown = 0;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
