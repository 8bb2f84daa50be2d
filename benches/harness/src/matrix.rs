//! The standing table's figures side by side, in Markdown: contenders down, workloads across.

use std::fmt::Write as _;

use crate::load::Load;
use crate::measure::Latencies;
use crate::race::{Entrant, Outcome};
use crate::target::Kind;
use crate::worker::Figures;

/// What a cell shows of a contender's rounds: the median of this.
type Figure = fn(&Figures) -> Option<f64>;

const WORKLOADS: [&str; 8] = ["W1", "W2", "W3", "W3-2keys", "W4", "W4-1000", "W5", "W6"];

/// All tables.
pub(crate) fn markdown(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for (kind, name) in [(Kind::Sink, "the sink"), (Kind::Redis70, "Redis 7.0")] {
        let title = format!("Processor time in ns per command, three nodes, {name}");
        text += &by_workload(outcomes, kind, &title, cpu);
    }
    let title = "Throughput in 1000 commands per second, three nodes, the sink";
    text += &by_workload(outcomes, Kind::Sink, title, |figures| {
        (figures.wall_ns > 0).then(|| figures.commands as f64 / figures.wall_ns as f64 * 1e6)
    });
    text += &growth(outcomes);
    text += &far(outcomes);
    text
}

fn cpu(figures: &Figures) -> Option<f64> {
    (figures.commands > 0).then(|| (figures.user_ns + figures.system_ns) as f64 / figures.commands as f64)
}

fn median(entrant: &Entrant, figure: Figure) -> Option<f64> {
    let mut values: Vec<f64> = entrant.rounds.iter().filter_map(figure).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn number(value: Option<f64>) -> String {
    match value {
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) => format!("{value:.1}"),
        None => "-".into(),
    }
}

/// The thorough races in a closed loop or as a stream, over three nodes at hand.
fn is_standing(outcome: &Outcome, kind: Kind) -> bool {
    let race = &outcome.race;
    let load = matches!(race.load, Load::Closed { .. } | Load::Stream { .. });
    race.target.kind == kind
        && race.target.nodes == 3
        && race.target.delay_us == 0
        && !race.target.standalone
        && race.count
        && race.spin_us == 0
        && load
}

fn by_workload(outcomes: &[Outcome], kind: Kind, title: &str, figure: Figure) -> String {
    let races: Vec<&Outcome> = WORKLOADS
        .iter()
        .filter_map(|name| outcomes.iter().find(|o| o.race.workload.name == *name && is_standing(o, kind)))
        .collect();
    let columns: Vec<&str> = races.iter().map(|outcome| outcome.race.workload.name.as_str()).collect();
    let mut contenders: Vec<&str> = Vec::new();
    for entrant in races.iter().flat_map(|outcome| &outcome.results) {
        if !contenders.contains(&entrant.contender.as_str()) {
            contenders.push(&entrant.contender);
        }
    }
    let rows = contenders.into_iter().map(|contender| {
        let cells = races.iter().map(|outcome| {
            let entrant = outcome.results.iter().find(|entrant| entrant.contender == contender);
            number(entrant.and_then(|entrant| median(entrant, figure)))
        });
        (contender.to_owned(), cells.collect())
    });
    table(title, &columns, rows)
}

/// Processor time against the number of nodes.
fn growth(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for (workload, commands) in [("W7", 33), ("W7-333", 333)] {
        let races: Vec<&Outcome> = outcomes.iter().filter(|o| o.race.workload.name == workload).collect();
        let Some(first) = races.first() else { continue };
        let columns: Vec<String> = races.iter().map(|o| format!("{} nodes", o.race.target.nodes)).collect();
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let rows = first.results.iter().map(|entrant| {
            let cells = races.iter().map(|outcome| {
                let same = outcome.results.iter().find(|other| other.contender == entrant.contender);
                number(same.and_then(|entrant| median(entrant, cpu)))
            });
            (entrant.contender.clone(), cells.collect())
        });
        let title = format!("Processor time in ns per command, {commands} SETs per node and flush, the sink");
        text += &table(&title, &columns, rows);
    }
    text
}

/// Flushes over nodes that are not at hand.
fn far(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for outcome in outcomes.iter().filter(|outcome| outcome.race.target.delay_us > 0) {
        let rows = outcome.results.iter().map(|entrant| {
            let mut all = Latencies::new();
            let mut flushes = 0;
            let mut wall_ns = 0;
            for round in &entrant.rounds {
                flushes += round.flushes;
                wall_ns += round.wall_ns;
                if let Ok(latencies) = Latencies::decoded(&round.latencies) {
                    all.add(&latencies);
                }
            }
            let ms = |nanos: f64| format!("{:.2}", nanos / 1e6);
            let histogram = all.histogram();
            let per_s = flushes as f64 / (wall_ns.max(1) as f64 / 1e9);
            let cells = vec![
                format!("{per_s:.0}"),
                ms(histogram.mean()),
                ms(histogram.value_at_percentile(95.0) as f64),
                ms(histogram.value_at_percentile(99.0) as f64),
                number(median(entrant, cpu)),
            ];
            (entrant.contender.clone(), cells)
        });
        let (batch, target) = (outcome.race.workload.batch, &outcome.race.target);
        let title = format!("{batch} SETs per flush, {target}");
        let columns = ["flushes per s", "average ms", "P95 ms", "P99 ms", "CPU ns per command"];
        text += &table(&title, &columns, rows);
    }
    text
}

fn table(title: &str, columns: &[&str], rows: impl Iterator<Item = (String, Vec<String>)>) -> String {
    // Writing into a string cannot fail, here and below.
    let mut text = String::new();
    if columns.is_empty() {
        return text;
    }
    let _ = writeln!(text, "{title}:\n\n| | {} |", columns.join(" | "));
    let _ = writeln!(text, "|---|{}", "---|".repeat(columns.len()));
    for (name, cells) in rows {
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    }
    text.push('\n');
    text
}
