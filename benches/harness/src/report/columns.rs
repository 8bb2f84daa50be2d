//! The columns of a contender's figures: the same ones on a terminal and on a page.

use super::format::{MISSING, middle, number, optional, ratio_spread, spread};
use super::summary::{Quantiles, Spread, Summary};
use super::syscalls::{CallFigures, Source, traced};

/// One figure of a contender.
pub(crate) struct Column {
    pub(crate) head: &'static str,
    pub(crate) unit: &'static str,
    /// What it is, in a sentence.
    pub(crate) about: &'static str,
    pub(crate) cell: fn(&Summary<'_>) -> String,
}

const fn column(
    head: &'static str,
    unit: &'static str,
    about: &'static str,
    cell: fn(&Summary<'_>) -> String,
) -> Column {
    Column { head, unit, about, cell }
}

const MICROS: f64 = 1e3;
const MIB: f64 = 1_048_576.0;

/// What a reader wants to know first.
pub(crate) const MAIN: &[Column] = &[
    column("CPU", "ns/cmd", "processor time per command, in user mode and in the kernel", |s| spread(s.cpu)),
    column("ratio", "CPU", "processor time against the base, taken in each round", |s| {
        s.cpu_ratio.map_or_else(|| MISSING.to_owned(), |ratio| super::format::ratio(ratio.middle))
    }),
    column("rate", "kcmd/s", "thousand commands answered per second", |s| middle(s.throughput, 1e3)),
    column("p50", "µs", "half of the batches were answered within this time", |s| latency(s, |q| q.p50)),
    column("p99", "µs", "99 % of the batches were", |s| latency(s, |q| q.p99)),
    column("p99.9", "µs", "99.9 % of the batches were", |s| latency(s, |q| q.p99_9)),
    column("calls", "/flush", "system calls per flush; ~ where strace counted them", |s| {
        calls(s, |calls| Some(calls.per_flush(calls.total())))
    }),
    column("allocs", "/cmd", "heap allocations per command", |s| optional(s.allocations)),
    column("peak", "MiB", "memory of the process at its peak", |s| {
        optional(s.peak_memory_bytes.map(|bytes| bytes as f64 / MIB))
    }),
    column("errors", "", "error replies and replies of the wrong kind, in all rounds", |s| {
        let failed = if s.entrant.failure.is_some() { "failed" } else { "" };
        match s.errors {
            0 if !failed.is_empty() => failed.to_owned(),
            errors => format!("{errors}{}", if failed.is_empty() { "" } else { " + failed" }),
        }
    }),
];

/// The rest, in parts that fit on a terminal.
pub(crate) const MORE: &[(&str, &[Column])] = &[
    (
        "processor",
        &[
            column("ratio", "CPU", "with its extremes", |s| ratio_spread(s.cpu_ratio)),
            column("ratio", "throughput", "commands per second against the base, taken in each round", |s| {
                ratio_spread(s.throughput_ratio)
            }),
            column("user", "ns/cmd", "processor time in user mode", |s| spread(s.user)),
            column("kernel", "ns/cmd", "processor time in the kernel", |s| spread(s.system)),
        ],
    ),
    (
        "latency of a batch",
        &[
            column("p50", "µs", "the middle is of all rounds together", |s| quantile(s, |q| q.p50)),
            column("p90", "µs", "", |s| quantile(s, |q| q.p90)),
            column("p99", "µs", "", |s| quantile(s, |q| q.p99)),
            column("p99.9", "µs", "", |s| quantile(s, |q| q.p99_9)),
            column("max", "µs", "", |s| quantile(s, |q| q.max)),
        ],
    ),
    (
        "throughput, waiting and memory",
        &[
            column("rate", "kcmd/s", "thousand commands answered per second", |s| {
                spread(s.throughput.map(|rate| rate.divided(1e3)))
            }),
            column(
                "voluntary",
                "switches/1000",
                "context switches because it waited, per 1000 commands",
                |s| spread(s.voluntary_switches),
            ),
            column("involuntary", "switches/1000", "context switches because others wanted to run", |s| {
                spread(s.involuntary_switches)
            }),
            column("allocated", "bytes/cmd", "heap memory asked for per command", |s| {
                optional(s.allocated_bytes)
            }),
            column("redirects", "", "MOVED and ASK", |s| {
                s.redirects.map_or_else(|| MISSING.to_owned(), |redirects| redirects.to_string())
            }),
        ],
    ),
    (
        "system calls",
        &[
            column("writes", "/flush", "calls that send", |s| calls(s, |c| Some(c.per_flush(c.writes)))),
            column("reads", "/flush", "calls that receive", |s| calls(s, |c| Some(c.per_flush(c.reads)))),
            column("waits", "/flush", "calls that wait, or that submit and wait", |s| {
                calls(s, |c| Some(c.per_flush(c.waits)))
            }),
            column("sleeps", "/flush", "of the waits, those that may have slept", |s| {
                calls(s, |c| c.sleeps.map(|sleeps| c.per_flush(sleeps)))
            }),
            column("others", "/flush", "all other calls; contenders do not count them", |s| {
                calls(s, |c| c.others.map(|others| c.per_flush(others)))
            }),
            column("all", "/cmd", "calls per command", |s| calls(s, |c| Some(c.per_command(c.total())))),
            column("size", "bytes/write", "sent with a call", |s| calls(s, |c| c.bytes_per_write)),
            column("size", "bytes/read", "received with a call", |s| calls(s, |c| c.bytes_per_read)),
            column("strace", "/flush", "all calls of the process as the kernel saw them, slowed down", |s| {
                let traced = s.entrant.calls.as_ref().and_then(traced);
                optional(traced.map(|calls| calls.per_flush(calls.total())))
            }),
        ],
    ),
];

fn latency(summary: &Summary<'_>, which: fn(Quantiles) -> Spread) -> String {
    middle(summary.latency.map(which), MICROS)
}

fn quantile(summary: &Summary<'_>, which: fn(Quantiles) -> Spread) -> String {
    spread(summary.latency.map(which).map(|nanos| nanos.divided(MICROS)))
}

/// A figure of system calls; the mark says that it is strace's.
fn calls(summary: &Summary<'_>, which: fn(&CallFigures) -> Option<f64>) -> String {
    let Some(calls) = &summary.calls else { return MISSING.to_owned() };
    match (which(calls), calls.source) {
        (Some(value), Source::Own) => number(value),
        (Some(value), Source::Strace) => format!("~{}", number(value)),
        (None, _) => MISSING.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::super::summary::summaries;
    use super::*;

    fn cells(summary: &Summary<'_>) -> Vec<String> {
        MAIN.iter().map(|column| (column.cell)(summary)).collect()
    }

    #[test]
    fn every_figure_has_its_column() {
        let document = sample::document();
        let summaries = summaries(&document.outcomes[0], None);
        let expected = ["245 (240–250)", "1.17", "1000", "100.0", "149", "150", "9.00", "2.00", "3.00", "0"];
        let shown = cells(&summaries[1]);
        assert_eq!(shown.len(), expected.len());
        assert_eq!([&shown[0], &shown[1], &shown[2]], [expected[0], expected[1], expected[2]]);
        assert_eq!(shown[6..], expected[6..]);
    }

    #[test]
    fn what_is_missing_is_a_dash_and_a_failure_is_named() {
        let mut failed = sample::entrant("failed", &[]);
        (failed.counted, failed.failure) = (None, Some("no".to_owned()));
        let outcome = sample::outcome(vec![failed]);
        let shown = cells(&summaries(&outcome, None)[0]);
        assert_eq!(shown, ["-", "-", "-", "-", "-", "-", "-", "-", "-", "failed"]);
    }

    #[test]
    fn what_strace_counted_is_marked() {
        let mut entrant = sample::entrant("a", &[(1, 1)]);
        (entrant.calls, entrant.rounds[0].counters) = (Some(sample::calls()), None);
        entrant.rounds[0].errors = 3;
        let outcome = sample::outcome(vec![entrant]);
        let shown = cells(&summaries(&outcome, None)[0]);
        assert_eq!((shown[6].as_str(), shown[9].as_str()), ("~7.20", "3"));
    }
}
