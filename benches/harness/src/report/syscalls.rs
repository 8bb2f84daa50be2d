//! System calls per flush and command: what the contender counted itself, undisturbed, or else what strace saw.
//!
//! The two are not the same: a contender counts what it does with its sockets, strace counts everything its process does.
//! Figures say which they are.

use std::collections::BTreeMap;

use crate::race::Entrant;
use crate::syscalls::{Call, Calls};

/// Who counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The contender, in the timed rounds.
    Own,
    /// strace, in a round of its own.
    Strace,
}

/// How often what was called.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct CallFigures {
    pub(crate) source: Source,
    pub(crate) flushes: f64,
    pub(crate) commands: f64,
    pub(crate) writes: f64,
    pub(crate) reads: f64,
    pub(crate) waits: f64,
    /// Of the waits, those that may have slept; only a contender can tell.
    pub(crate) sleeps: Option<f64>,
    /// Neither; a contender does not count them itself.
    pub(crate) others: Option<f64>,
    pub(crate) bytes_per_write: Option<f64>,
    pub(crate) bytes_per_read: Option<f64>,
}

const WRITES: [&str; 5] = ["write", "writev", "sendto", "sendmsg", "sendmmsg"];
const READS: [&str; 5] = ["read", "readv", "recvfrom", "recvmsg", "recvmmsg"];
const WAITS: [&str; 8] = [
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "poll",
    "ppoll",
    "select",
    "pselect6",
    // It submits as well; what it does inside the kernel is not seen.
    "io_uring_enter",
];

impl CallFigures {
    /// All calls that were counted.
    pub(crate) fn total(&self) -> f64 {
        self.writes + self.reads + self.waits + self.others.unwrap_or(0.0)
    }

    pub(crate) fn per_flush(&self, calls: f64) -> f64 {
        calls / self.flushes
    }

    pub(crate) fn per_command(&self, calls: f64) -> f64 {
        calls / self.commands
    }
}

/// `None` where nobody counted, or nothing was flushed.
pub(crate) fn call_figures(entrant: &Entrant) -> Option<CallFigures> {
    own(entrant).or_else(|| traced(entrant.calls.as_ref()?))
}

fn own(entrant: &Entrant) -> Option<CallFigures> {
    let mut figures = CallFigures { sleeps: Some(0.0), ..nothing(Source::Own) };
    let (mut written, mut read) = (0, 0);
    for round in &entrant.rounds {
        let counters = round.counters.as_ref()?;
        figures.flushes += round.flushes as f64;
        figures.commands += round.commands as f64;
        figures.writes += counters.writes as f64;
        figures.reads += counters.reads as f64;
        figures.waits += counters.waits as f64;
        figures.sleeps = figures.sleeps.zip(counters.sleeps).map(|(sum, more)| sum + more as f64);
        written += counters.bytes_written;
        read += counters.bytes_read;
    }
    figures.bytes_per_write = each(written, figures.writes);
    figures.bytes_per_read = each(read, figures.reads);
    (figures.flushes > 0.0).then_some(figures)
}

/// From strace's round.
pub(crate) fn traced(calls: &Calls) -> Option<CallFigures> {
    let writes = sum(&calls.by_name, |name| WRITES.contains(&name));
    let reads = sum(&calls.by_name, |name| READS.contains(&name));
    let waits = sum(&calls.by_name, |name| WAITS.contains(&name));
    let all = sum(&calls.by_name, |_| true);
    let figures = CallFigures {
        flushes: calls.flushes as f64,
        commands: calls.commands as f64,
        writes: writes.count as f64,
        reads: reads.count as f64,
        waits: waits.count as f64,
        others: Some((all.count - writes.count - reads.count - waits.count) as f64),
        bytes_per_write: each(writes.returned, writes.count as f64),
        bytes_per_read: each(reads.returned, reads.count as f64),
        ..nothing(Source::Strace)
    };
    (calls.flushes > 0).then_some(figures)
}

fn sum(calls: &BTreeMap<String, Call>, which: impl Fn(&str) -> bool) -> Call {
    let mut sum = Call::default();
    for (_, call) in calls.iter().filter(|(name, _)| which(name)) {
        sum.count += call.count;
        sum.returned += call.returned;
    }
    sum
}

/// A contender that does not count bytes says zero.
fn each(bytes: u64, calls: f64) -> Option<f64> {
    (bytes > 0 && calls > 0.0).then(|| bytes as f64 / calls)
}

fn nothing(source: Source) -> CallFigures {
    CallFigures {
        source,
        flushes: 0.0,
        commands: 0.0,
        writes: 0.0,
        reads: 0.0,
        waits: 0.0,
        sleeps: None,
        others: None,
        bytes_per_write: None,
        bytes_per_read: None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_contenders_own_count_goes_first() {
        let mut entrant = sample::entrant("a", &[(1, 1), (1, 1)]);
        entrant.calls = Some(sample::calls());
        // A sample round has 10 flushes, 30 writes of 100 bytes, 40 reads, 20 waits.
        let figures = call_figures(&entrant).unwrap();
        assert_eq!(figures.source, Source::Own);
        assert_eq!(figures.per_flush(figures.total()), 9.0);
        assert_eq!(figures.per_command(figures.writes), 0.03);
        assert_eq!((figures.bytes_per_write, figures.bytes_per_read), (Some(100.0), None));
        assert_eq!(figures.sleeps, Some(20.0));
        // One round without is no figure.
        entrant.rounds[0].counters.as_mut().unwrap().sleeps = None;
        assert_eq!(call_figures(&entrant).unwrap().sleeps, None);
    }

    #[test]
    fn otherwise_it_is_what_strace_saw() {
        let mut entrant = sample::entrant("a", &[(1, 1)]);
        entrant.rounds[0].counters = None;
        assert_eq!(call_figures(&entrant), None);
        entrant.calls = Some(sample::calls());
        let figures = call_figures(&entrant).unwrap();
        assert_eq!(figures.source, Source::Strace);
        assert_eq!((figures.writes, figures.reads, figures.waits), (30.0, 15.0, 20.0));
        assert_eq!(figures.others, Some(7.0));
        assert_eq!(figures.bytes_per_read, Some(20.0));
        assert_eq!(figures.per_flush(figures.total()), 7.2);
    }

    #[test]
    fn nothing_flushed_is_no_figure() {
        let mut calls = sample::calls();
        calls.flushes = 0;
        assert_eq!(traced(&calls), None);
    }
}
