//! The targets, each with what was measured: met or not.
//!
//! A target is a ratio of two contenders of one race, taken round by round; the median counts, the range is shown.

use std::fmt::Write as _;

use crate::load::Load;
use crate::race::{Entrant, Outcome};
use crate::report::summary::{Spread, cpu, quantile, ratios, throughput};
use crate::target::Kind;
use crate::worker::Figures;

/// One line of the table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) target: String,
    pub(crate) measured: String,
    pub(crate) met: Verdict,
}

/// What became of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Met,
    Missed,
    /// A contender or a figure was missing.
    NotMeasured,
    /// No target: it stands beside one.
    Comparison,
}

/// Below, or above.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Bound::AtMost(bound) => value <= bound,
            Bound::AtLeast(bound) => value >= bound,
        }
    }

    fn text(self, unit: &str) -> String {
        match self {
            Bound::AtMost(bound) => format!("<= {bound:.2}{unit}"),
            Bound::AtLeast(bound) => format!(">= {bound:.2}{unit}"),
        }
    }
}

type Figure = fn(&Figures) -> f64;

/// The clients that a service could use instead.
const OTHERS: [&str; 4] = ["redis-rs", "redis-rs-async", "fred", "rustis"];

/// All rows.
pub(crate) fn rows(outcomes: &[Outcome]) -> Vec<Row> {
    let mut rows = Vec::new();
    against(&mut rows, outcomes, ("floor-full", &["W1", "W2", "W4", "W4-1000", "W5"], Bound::AtMost(1.10)));
    against(&mut rows, outcomes, ("redis-rs", &["W2", "W5"], Bound::AtMost(0.30)));
    against(&mut rows, outcomes, ("redis-benchmark", &["W1", "W2", "W5"], Bound::AtMost(0.75)));
    for (workload, bound) in [("W1", 2.0), ("W2", 3.0), ("W5", 3.0)] {
        throughput_row(&mut rows, outcomes, workload, bound);
    }
    lone_rows(&mut rows, outcomes);
    half_rows(&mut rows, outcomes);
    far_rows(&mut rows, outcomes);
    for workload in ["W7", "W7-333"] {
        growth_rows(&mut rows, outcomes, workload);
    }
    count_rows(&mut rows, outcomes);
    memory_row(&mut rows, outcomes);
    rows.extend(crate::transports::rows(outcomes));
    rows
}

/// As a table in Markdown.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = String::from("| what | target | measured | met |\n|---|---|---|---|\n");
    for row in rows {
        let met = match row.met {
            Verdict::Met => "yes",
            Verdict::Missed => "**no**",
            Verdict::NotMeasured => "not measured",
            Verdict::Comparison => "",
        };
        // Writing into a string cannot fail.
        let _ = writeln!(text, "| {} | {} | {} | {met} |", row.what, row.target, row.measured);
    }
    text
}

/// A contender's part.
pub(crate) fn entrant<'a>(outcome: &'a Outcome, name: &str) -> Option<&'a Entrant> {
    outcome.results.iter().find(|entrant| entrant.contender == name)
}

/// The ratios of two contenders of one race, round by round.
pub(crate) fn ratio(outcome: &Outcome, (of, to): (&str, &str), figure: Figure) -> Option<Spread> {
    ratios(entrant(outcome, of)?, entrant(outcome, to), figure)
}

/// A line; nothing measured is nothing met.
pub(crate) fn row(what: String, measured: Option<Spread>, bound: Bound, unit: &str) -> Row {
    let target = bound.text(unit);
    let Some(Spread { middle, min, max }) = measured else {
        return Row { what, target, measured: "-".into(), met: Verdict::NotMeasured };
    };
    let range = if min < max { format!(" ({min:.2} to {max:.2})") } else { String::new() };
    let met = if bound.holds(middle) { Verdict::Met } else { Verdict::Missed };
    Row { what, target, measured: format!("{middle:.2}{unit}{range}"), met }
}

/// The races in a closed loop or a stream over three nodes at hand, without spinning, with the workload's usual shape.
fn plain<'a>(outcomes: &'a [Outcome], workload: &str) -> impl Iterator<Item = &'a Outcome> {
    outcomes.iter().filter(move |outcome| {
        let race = &outcome.race;
        let usual = crate::workload::Workload::named(workload).is_ok_and(|usual| usual == race.workload);
        let target = race.target.nodes == 3 && race.target.delay_us == 0 && !race.target.standalone;
        let load = matches!(race.load, Load::Closed { .. } | Load::Stream { .. });
        // A brief race of the same kind is no standing figure.
        usual && target && load && race.spin_us == 0 && race.count
    })
}

fn against(rows: &mut Vec<Row>, outcomes: &[Outcome], (base, workloads, bound): (&str, &[&str], Bound)) {
    for workload in workloads {
        for outcome in plain(outcomes, workload) {
            let what = format!("CPU per command, {workload}, {}, against {base}", outcome.race.target);
            rows.push(row(what, ratio(outcome, ("panpipe", base), cpu), bound, " x"));
        }
    }
}

fn throughput_row(rows: &mut Vec<Row>, outcomes: &[Outcome], workload: &str, bound: f64) {
    for outcome in plain(outcomes, workload).filter(|outcome| outcome.race.target.kind == Kind::Sink) {
        let (measured, other) = against_others(outcome, throughput, f64::min);
        let target = &outcome.race.target;
        let what = format!("throughput, {workload}, {target}, against the best other client ({other})");
        rows.push(row(what, measured, Bound::AtLeast(bound), " x"));
    }
}

/// Against the other client that leaves us the worst ratio: `worse` says which of two that is.
fn against_others(
    outcome: &Outcome,
    figure: Figure,
    worse: fn(f64, f64) -> f64,
) -> (Option<Spread>, &'static str) {
    let all = OTHERS.iter().filter_map(|other| Some((ratio(outcome, ("panpipe", other), figure)?, *other)));
    let worst = all.reduce(|a, b| if worse(a.0.middle, b.0.middle) == a.0.middle { a } else { b });
    worst.map_or((None, "none"), |(ratio, other)| (Some(ratio), other))
}

fn lone_rows(rows: &mut Vec<Row>, outcomes: &[Outcome]) {
    for outcome in outcomes.iter().filter(|o| o.race.workload.name == "W6" && o.race.count) {
        let how = if outcome.race.spin_us == 0 { "sleeping" } else { "spinning" };
        let figures: [(&str, Figure); 2] =
            [("p50", |round| quantile(round, 0.5)), ("p99", |round| quantile(round, 0.99))];
        for (name, figure) in figures {
            let what = format!("{name} of a lone GET, {}, {how}, against floor-full", outcome.race.target);
            rows.push(row(
                what,
                ratio(outcome, ("panpipe", "floor-full"), figure),
                Bound::AtMost(1.05),
                " x",
            ));
        }
    }
}

fn half_rows(rows: &mut Vec<Row>, outcomes: &[Outcome]) {
    for outcome in outcomes.iter().filter(|outcome| matches!(outcome.race.load, Load::Share { .. })) {
        let (measured, other) = against_others(outcome, |round| quantile(round, 0.999), f64::max);
        let target = &outcome.race.target;
        let what =
            format!("p99.9 at half of the maximum, W1, {target}, against the best other client ({other})");
        rows.push(row(what, measured, Bound::AtMost(1.0), " x"));
    }
}

fn far_rows(rows: &mut Vec<Row>, outcomes: &[Outcome]) {
    for outcome in outcomes.iter().filter(|outcome| outcome.race.target.delay_us > 0) {
        let delay_ns = outcome.race.target.delay_us as f64 * 1e3;
        let rounds = entrant(outcome, "panpipe").map(|entrant| entrant.rounds.as_slice()).unwrap_or_default();
        let measured = Spread::of(rounds.iter().map(|round| quantile(round, 0.5) / delay_ns));
        let what = format!("p50 of a flush, {}, against the slowest node's delay", outcome.race.target);
        rows.push(row(what, measured, Bound::AtMost(1.10), " x"));
    }
}

/// Processor time per command over 256 nodes against 3.
fn growth_rows(rows: &mut Vec<Row>, outcomes: &[Outcome], workload: &str) {
    let over = |nodes: usize| {
        outcomes
            .iter()
            .find(|outcome| outcome.race.workload.name == workload && outcome.race.target.nodes == nodes)
    };
    let (Some(few), Some(many)) = (over(3), over(256)) else { return };
    for name in ["panpipe", "floor-full", "floor"] {
        let (Some(few), Some(many)) = (entrant(few, name), entrant(many, name)) else { continue };
        let what = format!("CPU per command of {name}, {workload} on the sink, 256 nodes against 3");
        let mut row = row(what, ratios(many, Some(few), cpu), Bound::AtMost(1.10), " x");
        if name != "panpipe" {
            row.target = "(for comparison)".into();
            row.met = Verdict::Comparison;
        }
        rows.push(row);
    }
}

fn count_rows(rows: &mut Vec<Row>, outcomes: &[Outcome]) {
    let counted = |outcome: &Outcome| entrant(outcome, "panpipe").and_then(|entrant| entrant.counted.clone());
    let mut allocations: Vec<f64> = Vec::new();
    for workload in ["W1", "W2", "W3", "W4", "W4-1000", "W5", "W6"] {
        let figures = plain(outcomes, workload).filter_map(counted);
        allocations.extend(figures.filter_map(|f| Some(f.allocations?.0 as f64 / f.commands as f64)));
    }
    allocations.sort_by(f64::total_cmp);
    if let Some(&most) = allocations.last() {
        rows.push(Row {
            what: "allocations per command, the most of W1 to W6".into(),
            target: "0".into(),
            measured: format!("{most}"),
            met: if most == 0.0 { Verdict::Met } else { Verdict::Missed },
        });
    }
    for outcome in outcomes.iter().filter(|outcome| outcome.race.workload.name == "W7" && outcome.race.count)
    {
        let Some((figures, counters)) = counted(outcome).and_then(|f| Some((f.clone(), f.counters?))) else {
            continue;
        };
        let calls = (counters.writes + counters.reads + counters.waits) as f64 / figures.flushes as f64;
        let nodes = outcome.race.target.nodes;
        let what = format!("system calls per flush over {nodes} nodes");
        rows.push(row(what, Spread::of([calls]), Bound::AtMost(3.0 * nodes as f64 + 1.0), ""));
    }
}

fn memory_row(rows: &mut Vec<Row>, outcomes: &[Outcome]) {
    for outcome in outcomes.iter().filter(|outcome| outcome.race.target.nodes == 1000) {
        let peak = |name| {
            let rounds = &entrant(outcome, name)?.rounds;
            Spread::of(rounds.iter().map(|figures| figures.peak_memory_bytes as f64 / f64::from(1 << 20)))
        };
        let what = "peak memory with 1000 nodes, idle, the whole process".to_owned();
        rows.push(row(what.clone(), peak("panpipe"), Bound::AtMost(16.0), " MiB"));
        if let Some(measured) = peak("panpipe-uring") {
            // Each connection has a buffer there into which it receives at any time.
            let row = row(what + ", panpipe-uring", Some(measured), Bound::AtMost(16.0), " MiB");
            rows.push(Row { target: "(for comparison)".into(), met: Verdict::Comparison, ..row });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{entrant, outcome};

    /// W1 on the sink: each contender took so many nanoseconds per command in each round.
    fn rows_of(contenders: &[(&str, &[u64])]) -> Vec<Row> {
        let entrants = contenders.iter().map(|(name, rounds)| {
            let rounds: Vec<(u64, u64)> = rounds.iter().map(|&nanos| (nanos, 0)).collect();
            entrant(name, &rounds)
        });
        rows(&[outcome(entrants.collect())])
    }

    fn find<'a>(rows: &'a [Row], words: &str) -> &'a Row {
        rows.iter().find(|row| row.what.contains(words)).unwrap_or_else(|| panic!("no row {words:?}"))
    }

    #[test]
    fn a_target_is_met_or_missed_by_the_median_of_the_rounds() {
        let near: &[(&str, &[u64])] = &[("panpipe", &[109, 105, 300]), ("floor-full", &[100, 100, 100])];
        let rows = rows_of(near);
        let row = find(&rows, "against floor-full");
        assert_eq!((row.met, row.measured.as_str()), (Verdict::Met, "1.09 x (1.05 to 3.00)"));
        let far: &[(&str, &[u64])] = &[("panpipe", &[111, 120, 90]), ("floor-full", &[100, 100, 100])];
        assert_eq!(find(&rows_of(far), "against floor-full").met, Verdict::Missed);
        assert!(markdown(&rows_of(far)).contains("| **no** |"));
    }

    #[test]
    fn what_was_not_measured_is_not_met() {
        let rows = rows_of(&[("panpipe", &[1, 1, 1])]);
        assert_eq!(find(&rows, "against floor-full").met, Verdict::NotMeasured);
        assert_eq!(find(&rows, "throughput, W1").met, Verdict::NotMeasured);
    }

    #[test]
    fn the_best_of_the_others_is_the_one_that_counts() {
        let mut outcome = outcome(vec![
            entrant("panpipe", &[(1, 0)]),
            entrant("fred", &[(1, 0)]),
            entrant("redis-rs", &[(1, 0)]),
        ]);
        // The same commands in three times and in one and a half times the time.
        outcome.results[1].rounds[0].wall_ns *= 3;
        outcome.results[2].rounds[0].wall_ns += 500_000;
        let rows = rows(&[outcome]);
        let row = find(&rows, "throughput, W1");
        assert!(row.what.contains("(redis-rs)"), "{}", row.what);
        assert_eq!((row.measured.as_str(), row.met), ("1.50 x", Verdict::Missed));
    }

    #[test]
    fn allocations_of_any_kind_miss_their_target() {
        // The sample's counting round allocates.
        assert_eq!(find(&rows_of(&[("panpipe", &[1])]), "allocations per command").met, Verdict::Missed);
    }
}
