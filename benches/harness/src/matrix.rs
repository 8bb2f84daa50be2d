//! The standing table's figures side by side, in Markdown: contenders down, workloads across.

use std::fmt::Write as _;

use crate::contender::Flush;
use crate::load::Load;
use crate::race::{Entrant, Outcome};
use crate::report::summary::{self, Spread, cpu, throughput};
use crate::target::Kind;
use crate::worker::Figures;

/// What a cell shows of a contender's rounds: the median of this.
type Figure = fn(&Figures) -> f64;

const WORKLOADS: [&str; 8] = ["W1", "W2", "W3", "W3-2keys", "W4", "W4-1000", "W5", "W6"];
const CPU: &str = "Processor time in ns per command";

/// All tables.
pub(crate) fn markdown(outcomes: &[Outcome]) -> String {
    let standing = |kind: Kind| -> Vec<&Outcome> {
        let race =
            |name: &&str| outcomes.iter().find(|o| o.race.workload.name == *name && is_standing(o, kind));
        WORKLOADS.iter().filter_map(race).collect()
    };
    let workload = |outcome: &Outcome| outcome.race.workload.name.clone();
    let nodes = |outcome: &Outcome| format!("{} nodes", outcome.race.target.nodes);
    let mut text = String::new();
    for (kind, name) in [(Kind::Sink, "the sink"), (Kind::Redis70, "Redis 7.0")] {
        text += &across(&format!("{CPU}, three nodes, {name}"), &standing(kind), workload, cpu);
    }
    text += &across(
        "Throughput in 1000 commands per second, three nodes, the sink",
        &standing(Kind::Sink),
        workload,
        |round| throughput(round) / 1e3,
    );
    for (name, commands) in [("W7", 33), ("W7-333", 333)] {
        let races = chosen(outcomes, |o| o.race.workload.name == name);
        text += &across(&format!("{CPU}, {commands} SETs per node and flush, the sink"), &races, nodes, cpu);
    }
    for outcome in outcomes.iter().filter(|outcome| outcome.race.target.delay_us > 0) {
        text += &far(outcome);
    }
    text + &others(outcomes)
}

/// The parts without a target.
fn others(outcomes: &[Outcome]) -> String {
    let batch = |o: &Outcome| o.race.workload.batch.to_string();
    let bytes = |o: &Outcome| format!("{} B", o.race.workload.value_bytes);
    let brief = |o: &Outcome, name: &str| o.race.workload.name == name && !o.race.count;
    let here = |o: &Outcome| o.race.target.kind == Kind::Sink && o.race.target.delay_us == 0;
    let closed = |o: &Outcome| matches!(o.race.load, Load::Closed { .. });
    let mut text = String::new();
    let races = chosen(outcomes, |o| brief(o, "W2") && here(o) && o.race.target.nodes == 3);
    text += &across(
        "Throughput in 1000 commands per second, by SETs per flush, the sink",
        &races,
        batch,
        |round| throughput(round) / 1e3,
    );
    for (name, verb) in [("W1", "SET"), ("W4", "GET")] {
        let races = chosen(outcomes, |o| brief(o, name) && here(o) && closed(o));
        text += &across(&format!("{CPU}, {verb}, by size of the value, the sink"), &races, bytes, cpu);
    }
    let races = chosen(outcomes, |o| brief(o, "W5"));
    text += &across(&format!("{CPU}, a stream by flush policy, the sink"), &races, policy, cpu);
    let races = chosen(outcomes, |o| o.race.workload.name.starts_with("YCSB"));
    let mix = |o: &Outcome| format!("{} {:?}", o.race.workload.name, o.race.workload.distribution);
    text += &across(&format!("{CPU}, YCSB in batches of 100, Redis 7.0"), &races, mix, cpu);
    let races = chosen(outcomes, |o| o.race.target.kind == Kind::Valkey91);
    text += &across(&format!("{CPU}, Valkey 9.1"), &races, |o| o.race.workload.name.clone(), cpu);
    let races = chosen(outcomes, |o| matches!(o.race.load, Load::Stress { .. }));
    let target = |o: &Outcome| o.race.target.to_string();
    text += &across(&format!("{CPU}, 200 batches of 10 SETs in flight at once"), &races, target, cpu);
    let races = chosen(outcomes, |o| {
        let target = &o.race.target;
        brief(o, "W2") && (target.standalone || target.nodes == 1 || target.kind == Kind::Redis70)
    });
    text + &across(&format!("{CPU}, W2, cluster and standalone"), &races, target, cpu)
}

fn chosen(outcomes: &[Outcome], is: impl Fn(&Outcome) -> bool) -> Vec<&Outcome> {
    outcomes.iter().filter(|outcome| is(outcome)).collect()
}

fn policy(outcome: &Outcome) -> String {
    match outcome.race.flush_policy {
        Flush::Explicit => "explicit".into(),
        Flush::EachCommand => "each command".into(),
        Flush::EachTurn => "each turn".into(),
        Flush::Threshold { bytes, .. } => format!("{bytes} bytes"),
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

/// A row for each contender of any of the races, a column for each race.
fn across(title: &str, races: &[&Outcome], label: impl Fn(&Outcome) -> String, figure: Figure) -> String {
    let columns: Vec<String> = races.iter().map(|outcome| label(outcome)).collect();
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

fn median(entrant: &Entrant, figure: Figure) -> Option<f64> {
    Spread::of(entrant.rounds.iter().map(figure)).map(|spread| spread.middle)
}

fn number(value: Option<f64>) -> String {
    match value {
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) => format!("{value:.1}"),
        None => "-".into(),
    }
}

/// Flushes over nodes that are not at hand.
fn far(outcome: &Outcome) -> String {
    let rows = outcome.results.iter().map(|entrant| {
        let flushes: u64 = entrant.rounds.iter().map(|round| round.flushes).sum();
        let wall_ns: u64 = entrant.rounds.iter().map(|round| round.wall_ns).sum();
        let per_s = flushes as f64 / (wall_ns.max(1) as f64 / 1e9);
        let ms = |nanos: f64| format!("{:.2}", nanos / 1e6);
        let times = match summary::latencies(&entrant.rounds) {
            Some(all) => {
                let histogram = all.histogram();
                let quantile = |share| ms(histogram.value_at_quantile(share) as f64);
                [ms(histogram.mean()), quantile(0.95), quantile(0.99)]
            }
            None => ["-".into(), "-".into(), "-".into()],
        };
        let [average, p95, p99] = times;
        let cells = vec![format!("{per_s:.0}"), average, p95, p99, number(median(entrant, cpu))];
        (entrant.contender.clone(), cells)
    });
    let (batch, target) = (outcome.race.workload.batch, &outcome.race.target);
    let columns =
        ["flushes per s", "average ms", "P95 ms", "P99 ms", "CPU ns per command"].map(str::to_owned);
    table(&format!("{batch} SETs per flush, {target}"), &columns, rows)
}

/// A table with its title; nothing where it has no columns.
pub(crate) fn table(
    title: &str,
    columns: &[String],
    rows: impl Iterator<Item = (String, Vec<String>)>,
) -> String {
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
