//! The targets, each with what was measured: met or not.
//!
//! A target is a ratio of two contenders of one race, taken round by round; the median counts, the range is shown.

use std::fmt::Write as _;

use crate::load::Load;
use crate::race::{Entrant, Outcome};
use crate::target::Kind;
use crate::worker::Figures;

/// One line of the table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) target: String,
    pub(crate) measured: String,
    /// `None` where a contender was missing.
    pub(crate) met: Option<bool>,
}

/// Below, or above.
#[derive(Debug, Clone, Copy)]
enum Bound {
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

type Figure = fn(&Figures) -> Option<f64>;

fn cpu(figures: &Figures) -> Option<f64> {
    (figures.commands > 0).then(|| (figures.user_ns + figures.system_ns) as f64 / figures.commands as f64)
}

fn throughput(figures: &Figures) -> Option<f64> {
    (figures.wall_ns > 0).then(|| figures.commands as f64 / figures.wall_ns as f64 * 1e9)
}

fn percentile(figures: &Figures, percentile: f64) -> Option<f64> {
    let latencies = crate::measure::Latencies::decoded(&figures.latencies).ok()?;
    (!latencies.histogram().is_empty()).then(|| latencies.histogram().value_at_percentile(percentile) as f64)
}

fn p50(figures: &Figures) -> Option<f64> {
    percentile(figures, 50.0)
}

fn p99(figures: &Figures) -> Option<f64> {
    percentile(figures, 99.0)
}

fn p999(figures: &Figures) -> Option<f64> {
    percentile(figures, 99.9)
}

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
    rows
}

/// As a table in Markdown.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = String::from("| what | target | measured | met |\n|---|---|---|---|\n");
    for row in rows {
        let met = row.met.map_or("not measured", |met| if met { "yes" } else { "**no**" });
        // Writing into a string cannot fail.
        let _ = writeln!(text, "| {} | {} | {} | {met} |", row.what, row.target, row.measured);
    }
    text
}

fn entrant<'a>(outcome: &'a Outcome, name: &str) -> Option<&'a Entrant> {
    outcome.results.iter().find(|entrant| entrant.contender == name)
}

/// The ratios of two contenders, round by round, sorted.
fn ratios(outcome: &Outcome, (of, to): (&str, &str), figure: Figure) -> Vec<f64> {
    let (Some(of), Some(to)) = (entrant(outcome, of), entrant(outcome, to)) else { return Vec::new() };
    let mut ratios: Vec<f64> = of
        .rounds
        .iter()
        .zip(&to.rounds)
        .filter_map(|(of, to)| Some(figure(of)? / figure(to)?))
        .filter(|ratio| ratio.is_finite())
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios
}

fn row(what: String, ratios: &[f64], bound: Bound, unit: &str) -> Row {
    let Some(&median) = ratios.get(ratios.len() / 2) else {
        return Row { what, target: bound.text(unit), measured: "-".into(), met: None };
    };
    let (min, max) = (ratios[0], ratios[ratios.len() - 1]);
    let measured = if ratios.len() > 1 {
        format!("{median:.2}{unit} ({min:.2} to {max:.2})")
    } else {
        format!("{median:.2}{unit}")
    };
    Row { what, target: bound.text(unit), measured, met: Some(bound.holds(median)) }
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
            rows.push(row(what, &ratios(outcome, ("panpipe", base), cpu), bound, " x"));
        }
    }
}

fn throughput_row(rows: &mut Vec<Row>, outcomes: &[Outcome], workload: &str, bound: f64) {
    for outcome in plain(outcomes, workload).filter(|outcome| outcome.race.target.kind == Kind::Sink) {
        let best = OTHERS
            .iter()
            .map(|other| (ratios(outcome, ("panpipe", other), throughput), other))
            .filter(|(ratios, _)| !ratios.is_empty())
            .min_by(|(a, _), (b, _)| a[a.len() / 2].total_cmp(&b[b.len() / 2]));
        let (ratios, other) =
            best.map_or((Vec::new(), "the best other client"), |(ratios, other)| (ratios, *other));
        let what = format!(
            "throughput, {workload}, {}, against the best other client ({other})",
            outcome.race.target
        );
        rows.push(row(what, &ratios, Bound::AtLeast(bound), " x"));
    }
}

fn lone_rows(rows: &mut Vec<Row>, outcomes: &[Outcome]) {
    for outcome in outcomes.iter().filter(|outcome| outcome.race.workload.name == "W6" && outcome.race.count)
    {
        let how = if outcome.race.spin_us == 0 { "sleeping" } else { "spinning" };
        for (name, figure) in [("p50", p50 as Figure), ("p99", p99)] {
            let what = format!("{name} of a lone GET, {}, {how}, against floor-full", outcome.race.target);
            rows.push(row(
                what,
                &ratios(outcome, ("panpipe", "floor-full"), figure),
                Bound::AtMost(1.05),
                " x",
            ));
        }
    }
}

fn half_rows(rows: &mut Vec<Row>, outcomes: &[Outcome]) {
    for outcome in outcomes.iter().filter(|outcome| matches!(outcome.race.load, Load::Share { .. })) {
        let worst = OTHERS
            .iter()
            .map(|other| (ratios(outcome, ("panpipe", other), p999), other))
            .filter(|(ratios, _)| !ratios.is_empty())
            .max_by(|(a, _), (b, _)| a[a.len() / 2].total_cmp(&b[b.len() / 2]));
        let (ratios, other) = worst.map_or((Vec::new(), "others"), |(ratios, other)| (ratios, *other));
        let what = format!(
            "p99.9 at half of the maximum, W1, {}, against the best other client ({other})",
            outcome.race.target
        );
        rows.push(row(what, &ratios, Bound::AtMost(1.0), " x"));
    }
}

fn far_rows(rows: &mut Vec<Row>, outcomes: &[Outcome]) {
    for outcome in outcomes.iter().filter(|outcome| outcome.race.target.delay_us > 0) {
        let delay_ns = outcome.race.target.delay_us as f64 * 1e3;
        let figure = |name: &str| {
            let rounds = entrant(outcome, name).map(|entrant| entrant.rounds.as_slice()).unwrap_or_default();
            let mut found: Vec<f64> = rounds.iter().filter_map(p50).map(|p50| p50 / delay_ns).collect();
            found.sort_by(f64::total_cmp);
            found
        };
        let what = format!("p50 of a flush, {}, against the slowest node's delay", outcome.race.target);
        rows.push(row(what, &figure("panpipe"), Bound::AtMost(1.10), " x"));
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
        let mut growth: Vec<f64> = few
            .rounds
            .iter()
            .zip(&many.rounds)
            .filter_map(|(few, many)| Some(cpu(many)? / cpu(few)?))
            .collect();
        growth.sort_by(f64::total_cmp);
        let what = format!("CPU per command of {name}, {workload} on the sink, 256 nodes against 3");
        let mut row = row(what, &growth, Bound::AtMost(1.10), " x");
        if name != "panpipe" {
            row.target = "(for comparison)".into();
            row.met = None;
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
            met: Some(most == 0.0),
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
        rows.push(row(what, &[calls], Bound::AtMost(3.0 * nodes as f64 + 1.0), ""));
    }
}

fn memory_row(rows: &mut Vec<Row>, outcomes: &[Outcome]) {
    for outcome in outcomes.iter().filter(|outcome| outcome.race.target.nodes == 1000) {
        let rounds = entrant(outcome, "panpipe").map(|entrant| entrant.rounds.as_slice()).unwrap_or_default();
        let peak: Vec<f64> =
            rounds.iter().map(|figures| figures.peak_memory_bytes as f64 / f64::from(1 << 20)).collect();
        rows.push(row(
            "peak memory with 1000 nodes, idle, the whole process".into(),
            &peak,
            Bound::AtMost(16.0),
            " MiB",
        ));
    }
}
