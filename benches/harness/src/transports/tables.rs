//! The figures side by side, in Markdown: races down, contenders across.

use std::fmt::Write as _;

use super::{FLOOR, FLOOR_RING, MIO, URING};
use crate::load::Load;
use crate::matrix::table;
use crate::race::Outcome;
use crate::report::Document;
use crate::report::format::{MISSING, middle, optional, ratio_spread};
use crate::report::summary::{Quantiles, Spread, Summary, cpu, quantile, ratios, summaries, throughput};
use crate::standing::entrant;
use crate::worker::Figures;
use crate::workload::{Mix, Workload};

const CONTENDERS: [&str; 4] = [MIO, URING, FLOOR, FLOOR_RING];
const MICROS: f64 = 1e3;

/// Where and how it was measured, in two lines.
pub(super) fn circumstances(document: &Document) -> String {
    let machine = &document.machine;
    let mut text = format!(
        "{}, {} cores, {}; revision {}, {}. `{}`\n",
        machine.cpu,
        machine.logical_cores,
        machine.kernel,
        machine.revision.as_deref().unwrap_or("unknown"),
        document.made_at,
        document.command
    );
    if let Some(race) = document.outcomes.first().map(|outcome| &outcome.race) {
        let times = match race.load {
            Load::Closed { time_ms } => format!(" of {time_ms} ms"),
            _ => String::new(),
        };
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "{} interleaved rounds{times} per contender; medians, in brackets the extremes; ratios round by round.",
            race.rounds
        );
    }
    text
}

/// A group of races that are shown together.
struct Group<'a> {
    name: &'static str,
    races: Vec<&'a Outcome>,
    label: fn(&Outcome) -> String,
}

/// All tables.
pub(super) fn markdown(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for group in groups(outcomes) {
        if group.races.is_empty() {
            continue;
        }
        text += &processor(&group);
        text += &latency(&group);
        text += &calls(&group);
    }
    text
}

fn groups(outcomes: &[Outcome]) -> Vec<Group<'_>> {
    let chosen = |is: &dyn Fn(&Outcome) -> bool| outcomes.iter().filter(|o| is(o)).collect::<Vec<_>>();
    let usual = |o: &Outcome| o.race.target.nodes == 3 && is_usual_size(o);
    let sized = |o: &Outcome| matches!(o.race.workload.name.as_str(), "W1" | "W4") && o.race.spin_us == 0;
    let named = |o: &Outcome| format!("{}, {}", o.race.workload.name, kind(o));
    // The usual size alone is no series.
    let series = outcomes.iter().any(|o| !is_usual_size(o));
    vec![
        Group {
            name: "three nodes, sleeping",
            races: chosen(&|o| usual(o) && o.race.spin_us == 0),
            label: named,
        },
        Group {
            name: "three nodes, spinning",
            races: chosen(&|o| usual(o) && o.race.spin_us > 0),
            label: named,
        },
        Group {
            name: "33 SETs per node and flush, the sink, by nodes",
            races: chosen(&|o| o.race.workload.name == "W7" && o.race.target.nodes > 3),
            label: |o| {
                let spins = if o.race.spin_us > 0 { ", spinning" } else { "" };
                format!("{} nodes{spins}", o.race.target.nodes)
            },
        },
        Group {
            name: "by size of the value, three nodes, sleeping",
            races: by_size(chosen(&|o| series && sized(o))),
            label: |o| {
                let verb = if o.race.workload.mix == Mix::Get { "GET" } else { "SET" };
                format!("{verb} {}, {}, {} a flush", bytes(o), kind(o), o.race.workload.batch)
            },
        },
    ]
}

fn is_usual_size(outcome: &Outcome) -> bool {
    let workload = &outcome.race.workload;
    Workload::named(&workload.name).is_ok_and(|usual| usual.value_bytes == workload.value_bytes)
}

/// The usual size runs with the other workloads, and stands between the other sizes here.
fn by_size(mut races: Vec<&Outcome>) -> Vec<&Outcome> {
    races.sort_by_key(|o| {
        (o.race.target.to_string(), o.race.workload.name.clone(), o.race.workload.value_bytes)
    });
    races
}

fn kind(outcome: &Outcome) -> String {
    let target = outcome.race.target.to_string();
    target.split(',').next().unwrap_or_default().to_owned()
}

fn bytes(outcome: &Outcome) -> String {
    match outcome.race.workload.value_bytes {
        bytes if bytes >= 1 << 20 => format!("{} MiB", bytes >> 20),
        bytes if bytes >= 1 << 10 => format!("{} KiB", bytes >> 10),
        bytes => format!("{bytes} B"),
    }
}

/// A row for each race; its cells are made of the contenders' summaries.
fn rows(
    group: &Group<'_>,
    cells: impl Fn(&Outcome, &[Option<Summary<'_>>; 4]) -> Vec<String>,
) -> Vec<(String, Vec<String>)> {
    let row = |outcome: &&Outcome| {
        let mut all = summaries(outcome, None);
        let found = CONTENDERS.map(|name| {
            let at = all.iter().position(|summary| summary.entrant.contender == name)?;
            Some(all.swap_remove(at))
        });
        ((group.label)(outcome), cells(outcome, &found))
    };
    group.races.iter().map(row).collect()
}

fn ratio(outcome: &Outcome, of: &str, to: &str, figure: fn(&Figures) -> f64) -> Option<Spread> {
    ratios(entrant(outcome, of)?, entrant(outcome, to), figure)
}

fn processor(group: &Group<'_>) -> String {
    let rows = rows(group, |outcome, found| {
        let mut cells: Vec<String> =
            found.iter().map(|summary| middle(summary.as_ref().and_then(|s| s.cpu), 1.0)).collect();
        cells.push(ratio_spread(ratio(outcome, URING, MIO, cpu)));
        cells.push(ratio_spread(ratio(outcome, URING, FLOOR_RING, cpu)));
        cells.push(ratio_spread(ratio(outcome, URING, MIO, throughput)));
        cells
    });
    let title = format!("Processor time in ns per command, {}", group.name);
    let ours = [format!("{URING} / {MIO}"), format!("{URING} / {FLOOR_RING}"), "throughput, the same".into()];
    let columns: Vec<String> = CONTENDERS.map(str::to_owned).into_iter().chain(ours).collect();
    table(&title, &columns, rows.into_iter())
}

fn latency(group: &Group<'_>) -> String {
    let rows = rows(group, |outcome, found| {
        let [mio, uring, ..] = found;
        let percentiles: [fn(Quantiles) -> Spread; 3] = [|q| q.p50, |q| q.p99, |q| q.p99_9];
        let mut cells: Vec<String> = Vec::new();
        for which in percentiles {
            for summary in [mio, uring] {
                let latency = summary.as_ref().and_then(|summary| summary.latency);
                cells.push(middle(latency.map(which), MICROS));
            }
        }
        cells.push(ratio_spread(ratio(outcome, URING, MIO, |round| quantile(round, 0.5))));
        cells.push(ratio_spread(ratio(outcome, URING, MIO, |round| quantile(round, 0.99))));
        cells
    });
    // A stream has no flushes that somebody waits for.
    let rows = rows.into_iter().filter(|(_, cells)| cells.iter().any(|cell| cell != MISSING));
    let heads = [
        "p50 mio",
        "p50 uring",
        "p99 mio",
        "p99 uring",
        "p99.9 mio",
        "p99.9 uring",
        "p50 ratio",
        "p99 ratio",
    ];
    table(&format!("Time of a flush in µs, {}", group.name), &heads.map(str::to_owned), rows)
}

fn calls(group: &Group<'_>) -> String {
    let rows = rows(group, |_, found| {
        let per_flush = |summary: &Option<Summary<'_>>, which: fn(&Summary<'_>) -> Option<f64>| {
            optional(summary.as_ref().and_then(which))
        };
        let calls = |s: &Summary<'_>| s.calls.as_ref().map(|calls| calls.per_flush(calls.total()));
        let sleeps = |s: &Summary<'_>| {
            let calls = s.calls.as_ref()?;
            calls.sleeps.map(|sleeps| calls.per_flush(sleeps))
        };
        let mut cells = Vec::new();
        for which in [calls, sleeps, switches] {
            cells.extend(found.iter().map(|summary| per_flush(summary, which)));
        }
        cells
    });
    let mut heads = Vec::new();
    for figure in ["calls", "sleeps", "switches"] {
        heads.extend(["mio", "uring", "floor", "floor-ring"].map(|name| format!("{figure} {name}")));
    }
    let title = format!(
        "System calls, waits that may have slept, and voluntary context switches per flush, {}",
        group.name
    );
    table(&title, &heads, rows.into_iter())
}

/// As the kernel counted them, over all rounds.
fn switches(summary: &Summary<'_>) -> Option<f64> {
    let rounds = &summary.entrant.rounds;
    let flushes: u64 = rounds.iter().map(|round| round.flushes).sum();
    let switches: u64 = rounds.iter().map(|round| round.voluntary_switches).sum();
    (flushes > 0).then(|| switches as f64 / flushes as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn outcome(nodes: usize, value_bytes: usize) -> Outcome {
        let entrants = CONTENDERS.map(|name| match name {
            URING => sample::entrant(name, &[(60, 0), (70, 0), (90, 0)]),
            _ => sample::entrant(name, &[(100, 0), (100, 0), (100, 0)]),
        });
        let mut outcome = sample::outcome(entrants.into());
        outcome.race.workload.name = if nodes == 3 { "W1".into() } else { "W7".into() };
        outcome.race.workload.value_bytes = value_bytes;
        outcome.race.target.nodes = nodes;
        outcome
    }

    #[test]
    fn every_race_has_its_row_in_three_tables() {
        let outcomes = [outcome(3, 64), outcome(256, 64), outcome(3, 1 << 20), outcome(3, 8)];
        let text = markdown(&outcomes);
        assert!(
            text.contains(
                "| W1, sink | 100 | 70.0 | 100 | 100 | 0.70 (0.60–0.90) | 0.70 (0.60–0.90) | 1.00 |"
            ),
            "{text}"
        );
        // A sample round has 10 flushes, 90 calls, 10 waits that may have slept, and 5 switches.
        let cells = [" 9.00 |"; 4].concat() + &[" 1.00 |"; 4].concat() + &[" 0.500 |"; 4].concat();
        assert!(text.contains(&format!("| 256 nodes |{cells}")), "{text}");
        let sizes: Vec<usize> =
            ["SET 8 B", "SET 64 B", "SET 1 MiB"].iter().map(|size| text.find(size).unwrap()).collect();
        assert!(sizes.is_sorted(), "{text}");
        assert_eq!(text.matches("Processor time").count(), 3, "nothing spins:\n{text}");
        assert_eq!(text.matches("| W1, sink |").count(), 3);
    }

    #[test]
    fn a_contender_that_is_missing_is_a_dash() {
        let mut outcome = outcome(3, 64);
        outcome.results.retain(|entrant| entrant.contender == MIO);
        let text = markdown(&[outcome]);
        assert!(text.contains("| W1, sink | 100 | - | - | - | - | - | - |"), "{text}");
    }

    #[test]
    fn the_circumstances_name_the_command() {
        let document = sample::document();
        let text = circumstances(&document);
        assert!(
            text.contains(&document.command) && text.contains("2 interleaved rounds of 500 ms"),
            "{text}"
        );
    }
}
