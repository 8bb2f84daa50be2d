//! The figures side by side, in Markdown: contenders down, figures across; and above them the targets.

use std::fmt::Write as _;

use super::record::{Contender, Race, Record, Round};
use crate::matrix::table;
use crate::report::format::{MISSING, number, optional, ratio_spread, spread};
use crate::report::summary::Spread;
use crate::standing::{self, Bound, Row, Verdict, row};

const FLOOR: &str = "floor";
const FLOOR_WIDE: &str = "floor-wide";
/// CPU per record against the floor.
const DIRECT: [&str; 2] = ["panpipe-resp", "panpipe-kv"];
const DIRECT_MAX: f64 = 1.5;
/// CPU per record against parsing alone plus the floor.
const PARSED: [(&str, &str); 2] = [("panpipe-csv", "csv-crate"), ("panpipe-jsonl", "serde-json")];
const PARSED_MAX: f64 = 2.0;
const PEAK_MIB_MAX: f64 = 64.0;
/// Fewer say nothing about memory that does not grow.
const RECORDS_FOR_PEAK: u64 = 10_000_000;
const OTHERS: [&str; 3] = ["redis-cli", "redis-rs-nodes", "redis-rs-cluster"];

/// All of it.
pub(super) fn markdown(record: &Record) -> String {
    let mut text = circumstances(record);
    text += &standing::markdown(&rows(record));
    text.push('\n');
    for race in &record.races {
        text += &of_race(race);
    }
    text + &commands(record)
}

fn circumstances(record: &Record) -> String {
    let machine = &record.machine;
    let mut text = format!(
        "{}, {} cores, {}; revision {}, {}. `{}`\n",
        machine.cpu,
        machine.logical_cores,
        machine.kernel,
        machine.revision.as_deref().unwrap_or("unknown"),
        record.made_at,
        record.command
    );
    let rounds = record.races.iter().flat_map(|race| &race.contenders).map(|c| c.rounds.len()).max();
    // Writing into a string cannot fail, here and below.
    let _ = writeln!(
        text,
        "{} records, {} interleaved rounds per contender; medians, in brackets the extremes; ratios round by round.",
        record.records,
        rounds.unwrap_or(0)
    );
    for race in &record.races {
        let average =
            |load: Option<[f64; 3]>| load.map_or(MISSING.to_owned(), |[one, ..]| format!("{one:.1}"));
        let (before, after) = (average(race.load_before), average(race.load_after));
        let _ =
            writeln!(text, "Load average before and after the rounds on {}: {before}, {after}.", race.target);
    }
    if let Some(note) = &record.note {
        let _ = writeln!(text, "Meanwhile: {note}.");
    }
    text.push('\n');
    text
}

/// The targets, and what stands beside them.
fn rows(record: &Record) -> Vec<Row> {
    let mut rows = Vec::new();
    for race in &record.races {
        for name in DIRECT {
            let what = format!("CPU per record, {name}, {}, against the floor (W5)", race.target);
            rows.push(row(what, ratio(race, name, &[FLOOR], Round::cpu), Bound::AtMost(DIRECT_MAX), " x"));
            let what = format!("the same against the floor with as much in flight, {name}, {}", race.target);
            rows.push(comparison(what, ratio(race, name, &[FLOOR_WIDE], Round::cpu), " x"));
        }
        for (name, parser) in PARSED {
            let what = format!(
                "CPU per record, {name}, {}, against {parser} alone plus the floor (W5)",
                race.target
            );
            let measured = ratio(race, name, &[parser, FLOOR], Round::cpu);
            rows.push(row(what, measured, Bound::AtMost(PARSED_MAX), " x"));
        }
        for other in OTHERS {
            let what = format!("records per second, panpipe-resp, {}, against {other}", race.target);
            rows.push(comparison(what, ratio(race, "panpipe-resp", &[other], Round::per_s), " x"));
        }
        rows.extend(peak(record, race));
    }
    rows.retain(|row| row.met != Verdict::Comparison || row.measured != MISSING);
    rows
}

fn peak(record: &Record, race: &Race) -> Option<Row> {
    let own = race.contenders.iter().filter(|contender| contender.name.starts_with("panpipe"));
    let most = Spread::of(own.flat_map(|contender| &contender.rounds).map(Round::peak_mib))?;
    let what = format!(
        "peak memory of panpipe import, {} records, {}, the most of all",
        record.records, race.target
    );
    let most = Some(Spread { middle: most.max, min: most.max, max: most.max });
    Some(match record.records >= RECORDS_FOR_PEAK {
        true => row(what, most, Bound::AtMost(PEAK_MIB_MAX), " MiB"),
        false => comparison(what, most, " MiB"),
    })
}

fn comparison(what: String, measured: Option<Spread>, unit: &str) -> Row {
    let row = row(what, measured, Bound::AtMost(f64::INFINITY), unit);
    Row { target: "(for comparison)".into(), met: Verdict::Comparison, ..row }
}

/// A figure against the sum of others' of the same round.
fn ratio(race: &Race, name: &str, others: &[&str], figure: fn(&Round) -> f64) -> Option<Spread> {
    let rounds = &race.contender(name)?.rounds;
    let others: Option<Vec<&Contender>> = others.iter().map(|other| race.contender(other)).collect();
    let others = others?;
    let values = rounds.iter().enumerate().filter_map(|(at, round)| {
        let sum: Option<f64> = others.iter().map(|other| other.rounds.get(at).map(figure)).sum();
        Some(figure(round) / sum?)
    });
    Spread::of(values)
}

fn of_race(race: &Race) -> String {
    let columns = [
        "CPU, ns per record",
        "of it user",
        "least",
        "CPU against the floor",
        "1000 records per s",
        "most",
        "peak MiB",
        "errors",
        "arrived",
    ];
    let rows = race.contenders.iter().map(|contender| (contender.name.clone(), cells(race, contender)));
    table(&format!("Into {}", race.target), &columns.map(str::to_owned), rows)
}

fn cells(race: &Race, contender: &Contender) -> Vec<String> {
    let rounds = &contender.rounds;
    let of = |figure: fn(&Round) -> f64| Spread::of(rounds.iter().map(figure));
    let (cpu, per_s) = (of(Round::cpu), of(Round::per_s).map(|per_s| per_s.divided(1000.0)));
    let last = rounds.last();
    let against = match contender.name.as_str() {
        FLOOR => None,
        name => ratio(race, name, &[FLOOR], Round::cpu),
    };
    vec![
        spread(cpu),
        optional(of(Round::user).map(|user| user.middle)),
        optional(cpu.map(|cpu| cpu.min)),
        ratio_spread(against),
        optional(per_s.map(|per_s| per_s.middle)),
        optional(per_s.map(|per_s| per_s.max)),
        // What a stream of the harness holds is what it sends.
        match contender.command.is_empty() {
            true => MISSING.to_owned(),
            false => optional(of(Round::peak_mib).map(|peak| peak.max)),
        },
        last.map_or(MISSING.to_owned(), |round| round.errors.to_string()),
        last.and_then(|round| round.stored).map_or(MISSING.to_owned(), |stored| number(stored as f64)),
    ]
}

/// Who they are, and what was typed.
fn commands(record: &Record) -> String {
    let Some(race) = record.races.iter().max_by_key(|race| race.contenders.len()) else {
        return String::new();
    };
    let rows = race.contenders.iter().map(|contender| {
        let command = match contender.command.as_str() {
            "" => MISSING.to_owned(),
            // A bar would end the cell.
            command => format!("`{}`", command.replace('|', "\\|")),
        };
        (contender.name.clone(), vec![contender.about.clone(), command])
    });
    table("Who they are", &["what".to_owned(), "command".to_owned()], rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Machine;
    use crate::target::{Kind, Spec};

    fn contender(name: &str, nanos: &[u64]) -> Contender {
        let round = |&nanos: &u64| Round {
            records: 10,
            wall_ns: nanos * 10,
            user_ns: nanos * 6,
            system_ns: nanos * 4,
            peak_memory_bytes: 50 << 20,
            errors: 0,
            stored: Some(10),
        };
        Contender {
            name: name.into(),
            about: "a program".into(),
            command: "program file".into(),
            rounds: nanos.iter().map(round).collect(),
            failure: None,
        }
    }

    fn record(contenders: Vec<Contender>) -> Record {
        let target = Spec { kind: Kind::Sink, url: None, nodes: 3, delay_us: 0, standalone: false };
        Record {
            made_at: "2026-01-01T00:00:00Z".into(),
            machine: Machine::this(),
            command: "panpipe-bench load".into(),
            note: Some("nothing else".into()),
            records: RECORDS_FOR_PEAK,
            races: vec![Race { target, contenders, load_before: Some([0.1, 0.0, 0.0]), load_after: None }],
        }
    }

    fn find<'a>(rows: &'a [Row], words: &str) -> &'a Row {
        rows.iter().find(|row| row.what.contains(words)).unwrap_or_else(|| panic!("no row {words:?}"))
    }

    #[test]
    fn a_target_is_met_or_missed_by_the_median_of_the_rounds() {
        let rows = rows(&record(vec![
            contender("floor", &[100, 100, 200]),
            contender("panpipe-resp", &[150, 140, 900]),
            contender("panpipe-kv", &[151, 160, 100]),
            contender("csv-crate", &[50, 50, 50]),
            contender("panpipe-csv", &[300, 310, 1]),
        ]));
        let resp = find(&rows, "CPU per record, panpipe-resp");
        assert_eq!((resp.met, resp.measured.as_str()), (Verdict::Met, "1.50 x (1.40 to 4.50)"));
        assert_eq!(find(&rows, "CPU per record, panpipe-kv").met, Verdict::Missed);
        let csv = find(&rows, "CPU per record, panpipe-csv");
        assert_eq!((csv.met, csv.measured.as_str()), (Verdict::Met, "2.00 x (0.00 to 2.07)"));
        assert_eq!(find(&rows, "CPU per record, panpipe-jsonl").met, Verdict::NotMeasured);
        assert_eq!(find(&rows, "peak memory").met, Verdict::Met);
    }

    #[test]
    fn the_tables_say_what_was_measured_and_what_else_went_on() {
        let text = markdown(&record(vec![contender("floor", &[100]), contender("panpipe-resp", &[150])]));
        for words in
            ["Meanwhile: nothing else.", "| panpipe-resp | 150 | 90.0 | 150 | 1.50 |", "`program file`"]
        {
            assert!(text.contains(words), "{words:?} is not in\n{text}");
        }
        assert!(!text.contains("inf"), "{text}");
    }
}
