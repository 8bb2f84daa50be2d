//! The targets of the io_uring transport, each with what was measured.

use super::{FLOOR_RING, MIO, URING};
use crate::load::Load;
use crate::race::Outcome;
use crate::report::summary::{Spread, cpu};
use crate::standing::{Bound, Row, Verdict, entrant, ratio, row};
use crate::target::Kind;
use crate::worker::Figures;
use crate::workload::Workload;

/// Workloads whose processor time is compared.
const WORKLOADS: [&str; 4] = ["W1", "W2", "W4", "W5"];

/// All rows: of any outcomes in which the contenders meet.
pub(crate) fn rows(outcomes: &[Outcome]) -> Vec<Row> {
    let mut rows = Vec::new();
    for workload in WORKLOADS {
        for outcome in plain(outcomes, workload, &[URING, MIO]) {
            let target = &outcome.race.target;
            let what = format!("CPU per command, {workload}, {target}, {URING} against {MIO}");
            let mut row = row(what, ratio(outcome, (URING, MIO), cpu), Bound::AtMost(0.70), " x");
            if (workload, target.kind) != ("W1", Kind::Redis70) {
                row.target = "(for comparison)".into();
                row.met = Verdict::Comparison;
            }
            rows.push(row);
        }
    }
    for workload in WORKLOADS {
        for outcome in plain(outcomes, workload, &[URING, FLOOR_RING]) {
            let target = &outcome.race.target;
            let what = format!("CPU per command, {workload}, {target}, {URING} against {FLOOR_RING}");
            rows.push(row(what, ratio(outcome, (URING, FLOOR_RING), cpu), Bound::AtMost(1.10), " x"));
        }
    }
    // A flush of the others is one that somebody waits for; of W5 it is a turn.
    for workload in ["W1", "W2", "W3", "W4", "W6", "W7"] {
        for outcome in plain(outcomes, workload, &[URING]) {
            let rounds = entrant(outcome, URING).map(|entrant| entrant.rounds.as_slice()).unwrap_or_default();
            let what = format!("system calls per flush, {workload}, {}, {URING}", outcome.race.target);
            rows.push(row(what, Spread::of(rounds.iter().map(calls)), Bound::AtMost(2.0), ""));
        }
    }
    rows
}

/// System calls per flush; no number where they were not counted.
fn calls(round: &Figures) -> f64 {
    let calls =
        round.counters.map_or(f64::NAN, |counted| (counted.writes + counted.reads + counted.waits) as f64);
    calls / round.flushes as f64
}

/// The first race of this workload on each target in which these all take part: sleeping, near, in its usual shape.
fn plain<'a>(outcomes: &'a [Outcome], workload: &str, contenders: &[&str]) -> Vec<&'a Outcome> {
    let mut found: Vec<&Outcome> = Vec::new();
    for outcome in outcomes {
        let (race, target) = (&outcome.race, &outcome.race.target);
        let usual = Workload::named(workload).is_ok_and(|usual| match usual.commands_per_node() {
            // It grows with the nodes.
            Some(_) => usual.name == race.workload.name && usual.value_bytes == race.workload.value_bytes,
            None => usual == race.workload && target.nodes == 3,
        });
        let near = target.delay_us == 0 && !target.standalone && race.spin_us == 0;
        let load = matches!(race.load, Load::Closed { .. } | Load::Stream { .. });
        let all = contenders.iter().all(|name| race.contenders.iter().any(|other| other == name));
        let is_new = !found.iter().any(|other| other.race.target == *target);
        if usual && near && load && all && is_new {
            found.push(outcome);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    /// W1 on a target: so many nanoseconds per command in each round.
    fn outcome(kind: Kind, contenders: &[(&str, &[u64])]) -> Outcome {
        let entrants = contenders.iter().map(|(name, rounds)| {
            let rounds: Vec<(u64, u64)> = rounds.iter().map(|&nanos| (nanos, 0)).collect();
            sample::entrant(name, &rounds)
        });
        let mut outcome = sample::outcome(entrants.collect());
        outcome.race.target.kind = kind;
        outcome
    }

    fn find<'a>(rows: &'a [Row], words: &[&str]) -> Vec<&'a Row> {
        rows.iter().filter(|row| words.iter().all(|word| row.what.contains(word))).collect()
    }

    #[test]
    fn seven_tenths_are_asked_for_on_a_real_server_and_shown_elsewhere() {
        let times: &[(&str, &[u64])] = &[(MIO, &[100, 100, 100]), (URING, &[60, 72, 90])];
        let rows = rows(&[outcome(Kind::Sink, times), outcome(Kind::Redis70, times)]);
        let rows = find(&rows, &["W1", "against panpipe"]);
        let shown: Vec<(Verdict, &str)> = rows.iter().map(|row| (row.met, row.measured.as_str())).collect();
        let measured = "0.72 x (0.60 to 0.90)";
        assert_eq!(shown, [(Verdict::Comparison, measured), (Verdict::Missed, measured)]);
        assert_eq!(rows[1].target, "<= 0.70 x");
    }

    #[test]
    fn the_ring_without_a_client_is_its_floor() {
        let times: &[(&str, &[u64])] = &[(URING, &[109]), (FLOOR_RING, &[100])];
        let rows = rows(&[outcome(Kind::Sink, times)]);
        assert_eq!(find(&rows, &["W1", "against floor-full-ring"])[0].met, Verdict::Met);
        assert!(find(&rows, &["against panpipe"]).is_empty(), "they did not meet");
    }

    #[test]
    fn system_calls_are_per_flush() {
        let mut outcome = outcome(Kind::Sink, &[(URING, &[1, 1])]);
        for round in &mut outcome.results[0].rounds {
            let counters = round.counters.as_mut().unwrap();
            (counters.writes, counters.reads, counters.waits) = (0, 0, 15);
        }
        let measured = |outcome: &Outcome| {
            let rows = rows(std::slice::from_ref(outcome));
            let row = find(&rows, &["system calls per flush, W1"])[0];
            (row.measured.clone(), row.met)
        };
        assert_eq!(measured(&outcome), ("1.50".to_owned(), Verdict::Met));
        outcome.results[0].rounds.iter_mut().for_each(|round| round.counters = None);
        assert_eq!(measured(&outcome), ("-".to_owned(), Verdict::NotMeasured));
    }

    #[test]
    fn a_spinning_race_or_a_second_one_of_the_same_kind_is_no_row() {
        let times: &[(&str, &[u64])] = &[(MIO, &[100]), (URING, &[60])];
        let mut spinning = outcome(Kind::Redis70, times);
        spinning.race.spin_us = 100;
        let rows = rows(&[spinning, outcome(Kind::Redis70, times), outcome(Kind::Redis70, times)]);
        assert_eq!(find(&rows, &["against panpipe"]).len(), 1);
    }
}
